#include "sandbox/seccomp.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>
#include <string>

#include "base/format.h"
#include "sandbox/layer_switch.h"
#include "seccomp_filters.inc"  // generated: kSeccompFilters

namespace postern::sandbox {
namespace {

constexpr int kExitForbiddenCall = 159;  // 128 + SIGSYS, as a shell would say

// A debugging aid, never on in production: snprintf and dladdr are no guest's business, but they
// make no system call beyond write. A signal handler: its lines stand in a buffer of a fixed size,
// and fmt, which may allocate, puts none of them together.
void NameTheCall(int /*signal*/, siginfo_t* info, void* context) {
  const auto* regs = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  char line[256];
  const std::string_view name = SyscallName(info->si_syscall);
  const int n =
      std::snprintf(line, sizeof line,
                    "postern: forbidden system call %.*s (%d) args %llx %llx %llx %llx %llx %llx\n",
                    static_cast<int>(name.size()), name.data(), info->si_syscall, regs[REG_RDI],
                    regs[REG_RSI], regs[REG_RDX], regs[REG_R10], regs[REG_R8], regs[REG_R9]);
  if (n > 0 && ::write(2, line, static_cast<size_t>(n)) < 0) ::_exit(kExitForbiddenCall);
  void* frames[32];
  const int depth = ::backtrace(frames, 32);
  for (int i = 0; i < depth; ++i) {
    Dl_info where{};
    const bool known = ::dladdr(frames[i], &where) != 0 && where.dli_sname != nullptr;
    const int size =
        std::snprintf(line, sizeof line, "  at %p %s\n", frames[i], known ? where.dli_sname : "");
    if (size > 0 &&
        ::write(2, line, std::min<size_t>(static_cast<size_t>(size), sizeof line - 1)) < 0)
      break;
  }
  ::_exit(kExitForbiddenCall);
}

}  // namespace

std::span<const sock_filter> SeccompProgram(std::string_view name, SeccompMode mode) {
  for (const SeccompFilter& filter : kSeccompFilters) {
    if (filter.name != name) continue;
    const auto code = mode == SeccompMode::kDebug ? filter.debug : filter.kill;
    return {reinterpret_cast<const sock_filter*>(code.data()), code.size() / sizeof(sock_filter)};
  }
  return {};
}

std::string_view SyscallName(int number) {
  for (const auto& call : kSyscallNames) {
    if (call.number == number) return call.name;
  }
  return {};
}

Status InstallSeccomp(std::string_view name, SeccompMode mode) {
  if (!LayerWanted("seccomp")) return Ok{};
  const auto code = SeccompProgram(name, mode);
  if (code.empty()) return Error{fmt::format("no seccomp policy named {}", name)};
  if (mode == SeccompMode::kDebug) {
    void* frame[1];
    ::backtrace(frame, 1);  // loads libgcc now, while files can still be opened
    struct sigaction action {};
    action.sa_sigaction = NameTheCall;
    action.sa_flags = SA_SIGINFO;
    if (::sigaction(SIGSYS, &action, nullptr) != 0) return SystemError("cannot trap SIGSYS");
  }
  sock_fprog program{static_cast<unsigned short>(code.size()),
                     const_cast<sock_filter*>(code.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
    return SystemError("cannot install the seccomp filter");
  }
  return Ok{};
}

}  // namespace postern::sandbox
