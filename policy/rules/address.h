// IP addresses, ranges, and which addresses are never public.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postern::policy {

// An IPv4 or IPv6 address in network byte order; IPv4 uses the first four bytes.
struct IpAddress {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};

  static std::optional<IpAddress> Parse(const std::string& text);  // inet_pton spellings only
  static std::optional<IpAddress> From(const sockaddr* address);
  std::string ToString() const;
  IpAddress Masked(int prefix) const;  // the first `prefix` bits, and zeroes
  bool operator==(const IpAddress&) const = default;
};

struct Cidr {
  IpAddress base;
  int prefix = 0;  // bits

  // "10.0.0.0/8", "fd00::/8", or a lone address (all its bits).
  static Result<Cidr> Parse(const std::string& text);
  bool Contains(const IpAddress& address) const;
  std::string ToString() const;
};

// Why an address is not public ("loopback", "private", "link-local", "IPv4-mapped loopback", …),
// from the IANA special-purpose registries; nullopt for a public one. An IPv4 address inside an
// IPv6 one (mapped, compatible, NAT64, 6to4, Teredo, ISATAP) is blocked whatever it embeds: none of
// these is how a public origin is reached from a host with IPv4 of its own.
std::optional<std::string> NotPublic(const IpAddress& address);

// The IPv4 address inside an IPv6 one, by any of these embeddings.
std::optional<IpAddress> EmbeddedIpv4(const IpAddress& address);
// At which bit of an IPv6 address its IPv4 one begins; `address` has one.
int EmbeddedAt(const IpAddress& address);

// Whether a cloud serves its instances' metadata there, and credentials with it.
bool IsMetadata(const IpAddress& address);

}  // namespace postern::policy
