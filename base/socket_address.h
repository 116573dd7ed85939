// SocketAddress: where a server listens, or a client finds it, in the kernel's form.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "base/format.h"
#include "base/ip_address.h"

namespace postern {

struct SocketAddress {
  SocketAddress(const IpAddress& ip, uint16_t port) {
    if (ip.v6) {
      auto* in6 = reinterpret_cast<sockaddr_in6*>(&storage);
      in6->sin6_family = AF_INET6;
      in6->sin6_port = htons(port);
      std::memcpy(&in6->sin6_addr, ip.bytes.data(), 16);
      size = sizeof(sockaddr_in6);
    } else {
      auto* in = reinterpret_cast<sockaddr_in*>(&storage);
      in->sin_family = AF_INET;
      in->sin_port = htons(port);
      std::memcpy(&in->sin_addr, ip.bytes.data(), 4);
      size = sizeof(sockaddr_in);
    }
  }
  const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }

  sockaddr_storage storage{};
  socklen_t size = 0;
};

// "192.0.2.1:80", "[2001:db8::1]:80" or "unix:PATH".
inline std::string TextOf(const sockaddr_storage& address) {
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (address.ss_family == AF_UNIX) {
    const auto* un = reinterpret_cast<const sockaddr_un*>(&address);
    return fmt::format("unix:{}", un->sun_path[0] == '\0' ? "@" : un->sun_path);
  }
  const auto ip = IpAddress::From(generic);
  const auto* in = reinterpret_cast<const sockaddr_in*>(&address);  // the port's place is the same
  if (!ip) return "an unknown address";
  return fmt::format("{}:{}", ip->v6 ? fmt::format("[{}]", ip->ToString()) : ip->ToString(),
                     ntohs(in->sin_port));
}

}  // namespace postern
