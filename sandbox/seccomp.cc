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

// A debugging aid, never on in production: fmt and dladdr are no guest's business, but they make no
// system call beyond write. A signal handler: its lines are formatted into a buffer of a fixed
// size, for which nothing is allocated.
void NameTheCall(int /*signal*/, siginfo_t* info, void* context) {
  const auto* regs = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  char line[256];
  const std::string_view name = SyscallName(info->si_syscall);
  const auto put = [&](const auto& result) {
    return ::write(2, line, std::min(result.size, sizeof line)) >= 0;
  };
  if (!put(fmt::format_to_n(
          line, sizeof line,
          "postern: forbidden system call {} ({}) args {:x} {:x} {:x} {:x} {:x} {:x}\n", name,
          info->si_syscall, regs[REG_RDI], regs[REG_RSI], regs[REG_RDX], regs[REG_R10],
          regs[REG_R8], regs[REG_R9])))
    ::_exit(kExitForbiddenCall);
  void* frames[32];
  const int depth = ::backtrace(frames, 32);
  for (int i = 0; i < depth; ++i) {
    Dl_info where{};
    const bool known = ::dladdr(frames[i], &where) != 0 && where.dli_sname != nullptr;
    if (!put(fmt::format_to_n(line, sizeof line, "  at {} {}\n",
                              static_cast<const void*>(frames[i]), known ? where.dli_sname : "")))
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
