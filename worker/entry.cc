// The worker's entry: this library is preloaded into the Node.js executable, whose V8 it uses, and
// takes over before any of Node runs (docs/v8.md).
//
//   --postern-worker [--jitless] [--debug-seccomp]   control socket is descriptor 3
//   --postern-snapshot BUNDLE.js OUT                 at build time
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

#include "channel/control.h"
#include "sandbox/layers.h"
#include "sandbox/namespaces.h"
#include "sandbox/process.h"
#include "worker/engine.h"
#include "worker/zygote.h"

namespace postern::worker {
namespace {

using channel::ControlType;

constexpr int kExitNotForYou = 9;  // as Node answers an option that it does not know
constexpr int kExitCannotStart = 125;

std::string ReadFd(int fd) {
  std::string bytes;
  struct stat st {};
  if (::fstat(fd, &st) == 0) bytes.reserve(static_cast<size_t>(st.st_size) + 1);
  char buffer[256 * 1024];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;) {
    bytes.append(buffer, static_cast<size_t>(n));
  }
  return bytes;
}

std::string ReadFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd.valid() ? ReadFd(fd.get()) : std::string();
}

// The snapshot lies beside this library.
std::string SnapshotPath() {
  Dl_info self{};
  if (::dladdr(reinterpret_cast<void*>(&SnapshotPath), &self) == 0) return {};
  const std::string path = self.dli_fname;
  return path.substr(0, path.rfind('/') + 1) + "postern-worker.snapshot";
}

uint64_t DataBytes(int status) {
  const std::string text = ReadFd(status);
  const size_t at = text.find("VmData:");
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + 7, nullptr, 10) * 1024;
}

// Namespaces and the empty root; from here on this is the zygote, PID 1 of its pid namespace.
Status Enclose(sandbox::Layers& layers, UniqueFd& status) {
  ::setsid();  // a terminal's ^C is the supervisor's business
  auto report = sandbox::EnterNamespaces({"net", "mount", "pid", "ipc", "uts", "cgroup"},
                                         sandbox::Identity::kNobody);
  if (!report) return report.error();
  layers = *report;
  if (report->has("net")) {
    if (Status s = sandbox::CheckNetworkIsEmpty(); !s) return s;
  }
  if (Status s = sandbox::DieWithParent(); !s) return s;
  if (report->has("pid")) {
    if (Status s = sandbox::ContinueAsPid1(); !s) return s;
  }
  status = UniqueFd(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  if (!status.valid()) return SystemError("cannot open /proc/self/status");
  sandbox::TryEmptyRoot(layers);
  return Ok{};
}

Status Confine(const ZygoteOptions& options, sandbox::Layers& layers) {
  if (Status s = sandbox::CloseAllBut({options.control}); !s) return s;
  if (Status s = sandbox::Harden(); !s) return s;
  if (Status s = sandbox::TryLandlock({}, layers); !s) return s;
  if (Status s = sandbox::DropCapabilities(); !s) return s;
  if (Status s = sandbox::InstallSeccomp("zygote", options.seccomp); !s) return s;
  layers.on.emplace_back("seccomp");
  return Ok{};
}

Status RunWorker(ZygoteOptions options) {
  std::signal(SIGPIPE, SIG_IGN);  // a broker that dies is an error of a request, not of the guest
  Engine::Options engine_options{.jitless = options.jitless, .snapshot = ReadFile(SnapshotPath())};
  if (engine_options.snapshot.empty())
    return Error{"cannot read the start-up snapshot beside the worker library"};
  sandbox::Layers layers;
  UniqueFd status;
  if (Status s = Enclose(layers, status); !s) return s;
  auto engine = Engine::Start(std::move(engine_options));
  if (!engine) return engine.error();
  options.data_bytes = DataBytes(status.get());
  status.reset();
  if (Status s = Confine(options, layers); !s) return s;
  const nlohmann::json report = {{"on", layers.on}, {"missing", layers.missing}};
  // With a pidfd of this process: the launcher's death ends it too, only later.
  const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (Status s = channel::SendControl(
          options.control, {.type = ControlType::kReady, .payload = report.dump()}, {self.get()});
      !s)
    return s;
  return ServeZygote(**engine, options);
}

int Main(int argc, char** argv, char** /*environment*/) {
  if (argc == 4 && std::strcmp(argv[1], "--postern-snapshot") == 0) {
    const Status made = Engine::MakeSnapshot(ReadFile(argv[2]), argv[3]);
    if (!made) std::fprintf(stderr, "postern-worker: %s\n", made.error().message.c_str());
    ::_exit(made ? 0 : 1);
  }
  if (argc < 2 || std::strcmp(argv[1], "--postern-worker") != 0) {
    std::fprintf(stderr, "postern-worker: this program is started by postern\n");
    ::_exit(kExitNotForYou);
  }
  ZygoteOptions options;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--jitless") == 0) options.jitless = true;
    if (std::strcmp(argv[i], "--debug-seccomp") == 0)
      options.seccomp = sandbox::SeccompMode::kDebug;
  }
  const Status status = RunWorker(options);
  if (!status && !channel::SendControl(options.control, {.type = ControlType::kFailed,
                                                         .payload = status.error().message})) {
    ::_exit(kExitCannotStart);
  }
  // Never by exit(): Node's static destructors crash with a live isolate.
  ::_exit(status ? 0 : kExitCannotStart);
}

}  // namespace
}  // namespace postern::worker

// V8 marks its heap MADV_DONTFORK, so that a forked process would fault at once. A zygote's
// children are to have that heap: of all that the executable asks of madvise(2), this is left out.
extern "C" __attribute__((visibility("default"))) int madvise(void* address, size_t size,
                                                              int advice) noexcept {
  if (advice == MADV_DONTFORK) return 0;
  return static_cast<int>(::syscall(SYS_madvise, address, size, advice));
}

extern "C" __attribute__((visibility("default"))) int __libc_start_main(
    int (*)(int, char**, char**), int argc, char** argv, void (*init)(), void (*fini)(),
    void (*rtld_fini)(), void* stack_end) {
  using Main = int (*)(int, char**, char**);
  using Start = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);
  ::unsetenv("LD_PRELOAD");
  const auto real = reinterpret_cast<Start>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  return real(postern::worker::Main, argc, argv, init, fini, rtld_fini, stack_end);
}
