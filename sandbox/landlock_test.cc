// Each test forks a child that enters the domain; its exit status says what it still could do.
#include "sandbox/landlock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "base/unique_fd.h"

namespace postern::sandbox {
namespace {

int ExitOf(const LandlockRules& rules, const std::function<int()>& child) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!EnterLandlock(rules)) ::_exit(99);
    ::_exit(child());
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A listener on loopback; its port.
uint16_t Listen(UniqueFd& fd) {
  fd = UniqueFd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(fd.get(), 4), 0);
  socklen_t size = sizeof address;
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

int Connect(uint16_t port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0
                                                                                         : errno;
}

TEST(Landlock, LeavesOnlyTheNamedPorts) {
  if (LandlockAbi() < 4) GTEST_SKIP() << "this kernel's Landlock knows no TCP ports";
  UniqueFd first, second;
  const uint16_t allowed = Listen(first), other = Listen(second);
  EXPECT_EQ(ExitOf({.connect_ports = std::vector{allowed}}, [&] { return Connect(allowed); }), 0);
  EXPECT_EQ(ExitOf({.connect_ports = std::vector{allowed}}, [&] { return Connect(other); }),
            EACCES);
  EXPECT_EQ(ExitOf({}, [&] { return Connect(allowed); }), EACCES);
  EXPECT_EQ(ExitOf({.connect_ports = std::nullopt}, [&] { return Connect(other); }), 0);
}

TEST(Landlock, LeavesOnlyTheNamedDirectories) {
  if (LandlockAbi() == 0) GTEST_SKIP() << "this kernel has no Landlock";
  const UniqueFd etc(::open("/etc", O_PATH | O_DIRECTORY));
  const auto read = [](const char* path) {
    return [path] { return UniqueFd(::open(path, O_RDONLY)).valid() ? 0 : errno; };
  };
  EXPECT_EQ(ExitOf({.readable = {etc.get()}}, read("/etc/passwd")), 0);
  EXPECT_EQ(ExitOf({.readable = {etc.get()}}, read("/proc/self/status")), EACCES);
  EXPECT_EQ(ExitOf({}, read("/etc/passwd")), EACCES);
}

}  // namespace
}  // namespace postern::sandbox
