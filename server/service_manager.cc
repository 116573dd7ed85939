#include "server/service_manager.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <sstream>

namespace postern::server {
namespace {

constexpr int kFirstGivenFd = 3;
constexpr int kMaxGivenFds = 64;

long Number(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? -1 : std::strtol(text, nullptr, 10);
}

}  // namespace

void Notify(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  const size_t size = std::strlen(path);
  if (size >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  // A manager that cannot be told notices by itself that it hears nothing.
  (void)::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
}

std::optional<std::chrono::microseconds> WatchdogInterval() {
  const long microseconds = Number("WATCHDOG_USEC"), pid = Number("WATCHDOG_PID");
  if (microseconds <= 0 || (pid > 0 && pid != ::getpid())) return std::nullopt;
  return std::chrono::microseconds(microseconds);
}

std::vector<GivenSocket> GivenSockets() {
  std::vector<GivenSocket> sockets;
  const long count = Number("LISTEN_FDS");
  if (Number("LISTEN_PID") != ::getpid() || count < 1 || count > kMaxGivenFds) return sockets;
  const char* names = std::getenv("LISTEN_FDNAMES");
  std::istringstream list(names == nullptr ? "" : names);
  for (int fd = kFirstGivenFd; fd < kFirstGivenFd + count; ++fd) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    std::string name;
    std::getline(list, name, ':');
    sockets.push_back({UniqueFd(fd), name});
  }
  return sockets;
}

}  // namespace postern::server
