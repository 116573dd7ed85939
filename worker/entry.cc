// The worker's entry: this library is preloaded into the Node.js executable, whose V8 it uses, and
// takes over before any of Node runs (docs/v8.md).
//
//   --postern-worker [--jitless] [--debug-seccomp]   control socket is descriptor 3
//   --postern-snapshot BUNDLE.js OUT                 at build time
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "channel/control.h"
#include "sandbox/landlock.h"
#include "sandbox/namespaces.h"
#include "sandbox/process.h"
#include "worker/engine.h"
#include "worker/zygote.h"

namespace postern::worker {
namespace {

using channel::ControlType;

constexpr int kExitNotForYou = 9;  // as Node answers an option that it does not know
constexpr int kExitCannotStart = 125;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The snapshot lies beside this library.
std::string SnapshotPath() {
  Dl_info self{};
  if (::dladdr(reinterpret_cast<void*>(&SnapshotPath), &self) == 0) return {};
  const std::string path = self.dli_fname;
  return path.substr(0, path.rfind('/') + 1) + "postern-worker.snapshot";
}

std::string ReadFd(int fd) {
  std::string text;
  char buffer[16 * 1024];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  return text;
}

// V8 marks its heap MADV_DONTFORK, so that a plain fork would fault: undone here, once, for every
// mapping whose VmFlags (proc(5), smaps) have "dc".
Status ForkWithHeap(int smaps) {
  std::istringstream lines(ReadFd(smaps));
  uintptr_t begin = 0, end = 0;
  for (std::string line; std::getline(lines, line);) {
    uintptr_t a = 0, b = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &a, &b) == 2) begin = a, end = b;
    if (line.starts_with("VmFlags:") && line.find(" dc") != std::string::npos &&
        ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DOFORK) != 0) {
      return SystemError("cannot make V8's heap inheritable");
    }
  }
  return Ok{};
}

uint64_t DataBytes(int status) {
  const std::string text = ReadFd(status);
  const size_t at = text.find("VmData:");
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + 7, nullptr, 10) * 1024;
}

struct Layers {
  std::vector<std::string> on, missing;
};

// Namespaces and the empty root; from here on this is the zygote, PID 1 of its pid namespace.
Status Enclose(Layers& layers, UniqueFd& smaps, UniqueFd& status) {
  ::setsid();  // a terminal's ^C is the supervisor's business
  auto report = sandbox::EnterNamespaces({"net", "mount", "pid", "ipc", "uts", "cgroup"},
                                         sandbox::Identity::kNobody);
  if (!report) return report.error();
  layers.on = report->on;
  layers.missing = report->missing;
  if (report->has("net")) {
    if (Status s = sandbox::CheckNetworkIsEmpty(); !s) return s;
  }
  if (Status s = sandbox::DieWithParent(); !s) return s;
  if (report->has("pid")) {
    if (Status s = sandbox::ContinueAsPid1(); !s) return s;
  }
  smaps = UniqueFd(::open("/proc/self/smaps", O_RDONLY | O_CLOEXEC));
  status = UniqueFd(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  if (!smaps.valid() || !status.valid()) return SystemError("cannot open /proc/self/smaps");
  if (report->has("mount")) {
    if (Status s = sandbox::EnterEmptyRoot(); s)
      layers.on.emplace_back("root");
    else
      layers.missing.push_back("root: " + s.error().message);
  }
  return Ok{};
}

Status Confine(const ZygoteOptions& options, Layers& layers) {
  if (Status s = sandbox::CloseAllBut({options.control}); !s) return s;
  if (Status s = sandbox::Harden(); !s) return s;
  if (auto abi = sandbox::EnterLandlock({}); abi) {
    layers.on.push_back("landlock:" + std::to_string(*abi));
  } else if (abi.error().errnum == ENOSYS || abi.error().errnum == EOPNOTSUPP) {
    layers.missing.push_back("landlock: " + abi.error().message);
  } else {
    return abi.error();
  }
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
  Layers layers;
  UniqueFd smaps, status;
  if (Status s = Enclose(layers, smaps, status); !s) return s;
  auto engine = Engine::Start(std::move(engine_options));
  if (!engine) return engine.error();
  if (Status s = ForkWithHeap(smaps.get()); !s) return s;
  options.data_bytes = DataBytes(status.get());
  smaps.reset();
  status.reset();
  if (Status s = Confine(options, layers); !s) return s;
  const nlohmann::json report = {{"on", layers.on}, {"missing", layers.missing}};
  if (Status s = channel::SendControl(options.control,
                                      {.type = ControlType::kReady, .payload = report.dump()});
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

extern "C" __attribute__((visibility("default"))) int __libc_start_main(
    int (*)(int, char**, char**), int argc, char** argv, void (*init)(), void (*fini)(),
    void (*rtld_fini)(), void* stack_end) {
  using Main = int (*)(int, char**, char**);
  using Start = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);
  ::unsetenv("LD_PRELOAD");
  const auto real = reinterpret_cast<Start>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  return real(postern::worker::Main, argc, argv, init, fini, rtld_fini, stack_end);
}
