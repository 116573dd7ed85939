#include "supervisor/guest_end.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>

namespace postern::supervisor {
namespace {

using run_api::Outcome;

Outcome After(const GuestEnd& end) {
  Outcome outcome;
  ClassifyEnd(end, outcome);
  return outcome;
}

TEST(GuestEnd, OneWithAResultIsWhatTheGuestSaid) {
  Outcome outcome;
  outcome.exit_status = 3;
  outcome.value = "42";
  ClassifyEnd({.wait_status = W_EXITCODE(3, 0)}, outcome);
  EXPECT_EQ(outcome.kind, Outcome::Kind::kSucceeded);
  EXPECT_EQ(outcome.exit_status, 3);
  EXPECT_EQ(outcome.value, "42");
  EXPECT_FALSE(outcome.has_error);
}

TEST(GuestEnd, EachSignalHasItsMeaning) {
  struct Case {
    int signal;
    bool in_cgroup;
    Outcome::Kind kind;
    int exit_status;
    const char* says;
  };
  const Case cases[] = {
      {SIGSYS, false, Outcome::Kind::kKilled, 159, "forbidden system call; --debug-seccomp"},
      {SIGXCPU, false, Outcome::Kind::kTimedOut, 124, "CPU time (--cpu)"},
      {SIGKILL, true, Outcome::Kind::kOutOfMemory, 137, "memory cgroup's 320MiB"},
      {SIGKILL, false, Outcome::Kind::kKilled, 137, "killed by signal 9"},
      {SIGSEGV, true, Outcome::Kind::kKilled, 139, "please report it"},
      {SIGILL, false, Outcome::Kind::kKilled, 132, "please report it"},
      {SIGTERM, false, Outcome::Kind::kKilled, 143, "killed by signal 15"},
  };
  for (const Case& c : cases) {
    const Outcome outcome = After({.wait_status = W_EXITCODE(0, c.signal),
                                   .no_result = "it is never asked for",
                                   .killed_in_cgroup = c.in_cgroup,
                                   .cgroup_memory = 320 << 20});
    EXPECT_EQ(outcome.kind, c.kind) << c.signal;
    EXPECT_EQ(outcome.exit_status, c.exit_status);
    EXPECT_NE(outcome.error_message.find(c.says), std::string::npos) << outcome.error_message;
  }
}

TEST(GuestEnd, WithoutAResultItFailed) {
  const Outcome outcome =
      After({.wait_status = 0, .no_result = "the guest ended without a result"});
  EXPECT_EQ(outcome.kind, Outcome::Kind::kFailed);
  EXPECT_EQ(outcome.exit_status, 125);
  EXPECT_EQ(outcome.error_message, "the guest ended without a result");
}

TEST(GuestEnd, AForbiddenCallThatWasNamed) {
  const GuestEnd end{.wait_status = W_EXITCODE(159, 0), .no_result = "none", .debug_seccomp = true};
  EXPECT_EQ(After(end).exit_status, 159);
  EXPECT_EQ(After(end).kind, Outcome::Kind::kKilled);
  // Else it is a guest's own status.
  EXPECT_EQ(After({.wait_status = W_EXITCODE(159, 0)}).kind, Outcome::Kind::kSucceeded);
}

TEST(GuestEnd, AGuestThatRanOutOfMemoryIsToldItsLimit) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::kOutOfMemory;
  outcome.exit_status = 137;
  ClassifyEnd({.wait_status = W_EXITCODE(137, 0), .memory = 256 << 20}, outcome);
  EXPECT_EQ(outcome.kind, Outcome::Kind::kOutOfMemory);
  EXPECT_EQ(outcome.exit_status, 137);
  EXPECT_EQ(outcome.error_message, "the guest ran out of its 256MiB of memory (--memory)");
}

}  // namespace
}  // namespace postern::supervisor
