#include "worker/process/launcher.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstring>

#include "base/eintr.h"
#include "base/exit_status.h"
#include "base/format.h"
#include "base/hidden_streams.h"
#include "channel/control.h"
#include "sandbox/layers.h"
#include "sandbox/namespaces.h"
#include "sandbox/process.h"

namespace postern::worker {
namespace {

constexpr int kExitNotForYou = 9;  // as Node answers an option that it does not know

// What this process has mapped, as /proc/self/status tells (proc(5)).
void ReadMappedBytes(int status, ZygoteOptions& options) {
  char text[4096];
  const ssize_t size = Uninterrupted([&] { return ::read(status, text, sizeof text - 1); });
  text[size > 0 ? size : 0] = '\0';
  const auto bytes = [&](const char* name) -> uint64_t {
    const char* at = std::strstr(text, name);
    return at == nullptr ? 0 : std::strtoull(at + std::strlen(name), nullptr, 10) * 1024;
  };
  options.data_bytes = bytes("VmData:");
  options.address_bytes = bytes("VmSize:");
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
  if (Status s = sandbox::KeepMemoryApart(); !s) return s;
  if (Status s = sandbox::LimitSpeculation(); !s) return s;
  if (Status s = sandbox::TryLandlock({}, layers); !s) return s;
  if (Status s = sandbox::DropCapabilities(); !s) return s;
  if (Status s = sandbox::InstallSeccomp("zygote", options.seccomp); !s) return s;
  layers.active.emplace_back("seccomp");
  return Ok{};
}

Status RunWorker(ZygoteOptions options, const StartProgram& start) {
  std::signal(SIGPIPE, SIG_IGN);  // a broker that dies is an error of a request, not of the guest
  sandbox::Layers layers;
  UniqueFd status;
  if (Status s = Enclose(layers, status); !s) return s;
  auto program = start(options);
  if (!program) return program.error();
  ReadMappedBytes(status.get(), options);
  status.reset();
  if (Status s = Confine(options, layers); !s) return s;
  // With a pidfd of this process: the launcher's death ends it too, only later.
  const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!self.valid()) return SystemError("cannot open a pidfd");
  const channel::Ready ready{layers.active, layers.missing};
  if (Status s = channel::SendControl(options.control, ready, {self.get()}); !s) return s;
  return ServeZygote(**program, options);
}

}  // namespace

void WorkerMain(int argc, char** argv, const StartProgram& start) {
  if (argc < 2 || std::strcmp(argv[1], "--postern-worker") != 0) {
    PrintError("postern-worker: this program is started by postern\n");
    ::_exit(kExitNotForYou);
  }
  ZygoteOptions options;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--jitless") == 0) options.jitless = true;
    if (std::strcmp(argv[i], "--debug-seccomp") == 0)
      options.seccomp = sandbox::SeccompMode::kDebug;
  }
  const Status status = RunWorker(options, start);
  if (!status) {
    const channel::StartFailed failed{.reason = status.error().message};
    if (!channel::SendControl(options.control, failed)) ::_exit(kExitCannotRun);
  }
  // Never by exit(): Node's static destructors crash with a live isolate.
  ::_exit(status ? 0 : kExitCannotRun);
}

}  // namespace postern::worker
