#include "supervisor/guest_end.h"

#include <sys/wait.h>

#include <csignal>

#include "base/exit_status.h"
#include "base/format.h"
#include "base/units.h"

namespace postern::supervisor {
namespace {

using Kind = run_api::Outcome::Kind;

bool IsCrash(int signal) {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGTRAP ||
         signal == SIGABRT || signal == SIGFPE;
}

void ClassifySignal(int signal, const GuestEnd& end, run_api::Outcome& outcome) {
  if (signal == SIGSYS) {
    return outcome.SetError(Kind::kKilled, kExitForbiddenCall,
                            "the guest made a forbidden system call; --debug-seccomp names it");
  }
  if (signal == SIGXCPU) {
    return outcome.SetError(Kind::kTimedOut, kExitTimeLimit,
                            "the run used more than its limit of CPU time (--cpu)");
  }
  if (signal == SIGKILL && end.killed_in_cgroup) {
    return outcome.SetError(Kind::kOutOfMemory, kExitKilled,
                            fmt::format("the guest ran out of its memory cgroup's {} (--memory)",
                                        BytesText(end.cgroup_memory)));
  }
  outcome.SetError(
      Kind::kKilled, 128 + signal,
      fmt::format("the guest was killed by signal {}{}", signal,
                  IsCrash(signal) ? ": a fault of V8 or of Postern, which the cage contained; "
                                    "please report it, with the program that does it"
                                  : ""));
}

}  // namespace

void ClassifyEnd(const GuestEnd& end, run_api::Outcome& outcome) {
  if (WIFSIGNALED(end.wait_status)) return ClassifySignal(WTERMSIG(end.wait_status), end, outcome);
  if (WEXITSTATUS(end.wait_status) == kExitForbiddenCall && end.debug_seccomp) {
    return outcome.SetError(Kind::kKilled, kExitForbiddenCall,
                            "the guest made a forbidden system call");
  }
  if (end.no_result) return outcome.SetError(Kind::kFailed, kExitCannotRun, *end.no_result);
  if (outcome.kind == Kind::kOutOfMemory) {
    outcome.SetError(
        Kind::kOutOfMemory, outcome.exit_status,
        fmt::format("the guest ran out of its {} of memory (--memory)", BytesText(end.memory)));
  }
}

}  // namespace postern::supervisor
