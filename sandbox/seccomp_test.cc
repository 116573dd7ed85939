// Each test forks a child that loads the real filter and makes one call; the verdict is its wait
// status.
#include "sandbox/seccomp.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "sandbox/process.h"

namespace postern::sandbox {
namespace {

constexpr int kSurvived = 7;

int StatusUnder(const char* policy, const std::function<void()>& call) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (!Harden() || !InstallSeccomp(policy, SeccompMode::kKill)) ::_exit(1);
    call();
    ::syscall(SYS_exit_group, kSurvived);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return status;
}

bool Killed(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS; }
bool Survived(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == kSurvived; }

TEST(Seccomp, GuestMayNotMakeSocketsOpenFilesForkOrExec) {
  for (const char* policy : {"guest", "guest-jitless"}) {
    EXPECT_TRUE(
        Killed(StatusUnder(policy, [] { ::syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0); })));
    EXPECT_TRUE(
        Killed(StatusUnder(policy, [] { ::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); })));
    EXPECT_TRUE(Killed(StatusUnder(policy, [] { ::syscall(SYS_openat, AT_FDCWD, "/", 0); })));
    EXPECT_TRUE(Killed(StatusUnder(policy, [] { ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); })));
    EXPECT_TRUE(
        Killed(StatusUnder(policy, [] { ::syscall(SYS_execve, "/bin/true", nullptr, nullptr); })));
    EXPECT_TRUE(Killed(StatusUnder(policy, [] { ::syscall(SYS_recvmsg, 3, nullptr, 0); })));
    EXPECT_TRUE(Killed(StatusUnder(policy, [] { ::syscall(SYS_ptrace, 0, 0, 0, 0); })));
  }
}

TEST(Seccomp, X32NumbersKill) {
  EXPECT_TRUE(Killed(StatusUnder("guest", [] { ::syscall(0x40000000 + SYS_getpid); })));
}

TEST(Seccomp, JitlessMakesNoExecutableMemory) {
  const auto map = [] {
    ::syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  };
  EXPECT_TRUE(Killed(StatusUnder("guest-jitless", map)));
  EXPECT_TRUE(Survived(StatusUnder("guest", map)));
}

TEST(Seccomp, FileMappingsKill) {
  EXPECT_TRUE(Killed(StatusUnder(
      "guest", [] { ::syscall(SYS_mmap, nullptr, 4096, PROT_READ, MAP_PRIVATE, 0, 0); })));
}

TEST(Seccomp, BrokerNetHasInternetSocketsOnly) {
  EXPECT_TRUE(
      Survived(StatusUnder("broker-net", [] { ::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); })));
  EXPECT_TRUE(
      Killed(StatusUnder("broker-net", [] { ::syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0); })));
  EXPECT_TRUE(
      Killed(StatusUnder("broker-net", [] { ::syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0); })));
}

TEST(Seccomp, BrokerFilesHasNoSockets) {
  EXPECT_TRUE(
      Killed(StatusUnder("broker-files", [] { ::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); })));
  EXPECT_TRUE(Killed(StatusUnder("broker-files", [] { ::syscall(SYS_openat, AT_FDCWD, "/", 0); })));
}

TEST(Seccomp, DebugNamesTheCall) {
  auto run = [] {
    if (!Harden() || !InstallSeccomp("guest", SeccompMode::kDebug)) ::_exit(1);
    ::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    ::_exit(kSurvived);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(159),
              "forbidden system call socket \\(41\\) args 2 1 0");
}

TEST(Seccomp, UnknownPolicyIsAnError) {
  EXPECT_FALSE(InstallSeccomp("no-such-policy", SeccompMode::kKill));
}

}  // namespace
}  // namespace postern::sandbox
