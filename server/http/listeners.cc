#include "server/http/listeners.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>

#include "base/format.h"
#include "base/ip_address.h"
#include "base/socket_address.h"

namespace postern::server {
namespace {

constexpr int kBacklog = 1024;
constexpr auto kAcceptAgainAfter = std::chrono::milliseconds(100);

Result<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return Error{fmt::format("a socket's path has 1 to {} bytes, not {}: {}",
                             sizeof address.sun_path - 1, path.size(), path)};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

const sockaddr* Generic(const void* address) { return static_cast<const sockaddr*>(address); }

std::string NameOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return TextOf(address);
}

}  // namespace

struct Listeners::Listener {
  Listener(boost::asio::io_context& io, int fd, int which)
      : descriptor(io, fd), retry(io), family(which) {}
  boost::asio::posix::stream_descriptor descriptor;
  boost::asio::steady_timer retry;
  int family;
};

Status Listeners::AddUnix(const std::string& path) {
  const auto address = UnixAddress(path);
  if (!address) return address.error();
  UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return SystemError("cannot make a socket");
  struct stat st {};
  if (::lstat(path.c_str(), &st) == 0) {
    if (!S_ISSOCK(st.st_mode))
      return Error{fmt::format("{} is there already, and is no socket", path)};
    if (::connect(probe.get(), Generic(&*address), sizeof *address) == 0)
      return Error{fmt::format("a server listens at {} already", path), EADDRINUSE};
    if (errno != ECONNREFUSED)
      return SystemError(fmt::format("cannot tell whether a server listens at {}", path));
    ::unlink(path.c_str());
  }
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return SystemError("cannot make a socket");
  const mode_t before = ::umask(0177);
  const int bound = ::bind(fd.get(), Generic(&*address), sizeof *address);
  const int error = errno;
  ::umask(before);
  if (bound != 0) return SystemError(fmt::format("cannot listen at {}", path), error);
  own_path_ = path;
  return Add(std::move(fd), AF_UNIX, path);
}

Status Listeners::AddTcp(const std::string& text) {
  const bool alone = text.find_first_not_of("0123456789") == std::string::npos;
  auto [host, port_text] =
      alone ? std::pair<std::string_view, std::string_view>("127.0.0.1", text) : SplitPort(text);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto port = port_text == "0" ? Result<uint16_t>(uint16_t{0}) : ParsePort(port_text);
  const auto ip = IpAddress::Parse(host.empty()          ? "0.0.0.0"
                                   : host == "localhost" ? "127.0.0.1"
                                                         : std::string(host));
  if (!port || !ip)
    return Error{fmt::format(
        "\"{}\" is no address to listen at, as in 8080, 127.0.0.1:8080 or :8080", text)};
  const SocketAddress address(*ip, *port);
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return SystemError("cannot make a socket");
  const int yes = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(fd.get(), address.generic(), address.size) != 0)
    return SystemError(fmt::format("cannot listen at {}", text));
  return Add(std::move(fd), address.family(), text);
}

bool Listeners::IsUnix(const UniqueFd& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return address.ss_family == AF_UNIX;
}

Status Listeners::AddGiven(UniqueFd socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  int type = 0;
  socklen_t type_size = sizeof type;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      ::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &type_size) != 0)
    return SystemError(fmt::format("descriptor {} that was given is no socket", socket.get()));
  if (type != SOCK_STREAM) return Error{"a socket that was given is no stream socket"};
  ::fcntl(socket.get(), F_SETFL, ::fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
  return Add(std::move(socket), address.ss_family, "the socket that was given");
}

Status Listeners::Add(UniqueFd fd, int family, const std::string& address) {
  if (::listen(fd.get(), kBacklog) != 0)
    return SystemError(fmt::format("cannot listen at {}", address));
  addresses_.push_back(NameOf(fd.get()));
  if (family != AF_UNIX) has_tcp_ = true;
  listeners_.push_back(std::make_shared<Listener>(io_, fd.release(), family));
  Accept(listeners_.back());
  return Ok{};
}

void Listeners::Accept(const std::shared_ptr<Listener>& l) {
  l->descriptor.async_wait(
      boost::asio::posix::stream_descriptor::wait_read,
      [this, l](const boost::system::error_code& error) {
        if (error) return;
        const int fd = ::accept4(l->descriptor.native_handle(), nullptr, nullptr,
                                 SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
          const int yes = 1;
          if (l->family != AF_UNIX) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
          Socket socket(io_);
          boost::system::error_code failed;
          socket.assign(boost::asio::generic::stream_protocol(l->family, 0), fd, failed);
          if (failed) ::close(fd);
          if (!failed) accepted_(std::move(socket), l->family == AF_UNIX);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
          // The client waits in the backlog until there is a descriptor again.
          l->retry.expires_after(kAcceptAgainAfter);
          l->retry.async_wait([this, l](const boost::system::error_code& cancelled) {
            if (!cancelled) Accept(l);
          });
          return;
        }
        Accept(l);
      });
}

void Listeners::Close() {
  for (const auto& l : std::exchange(listeners_, {})) {
    boost::system::error_code ignored;
    l->retry.cancel();
    l->descriptor.close(ignored);
  }
  if (!own_path_.empty()) ::unlink(own_path_.c_str());
  own_path_.clear();
}

}  // namespace postern::server
