// Ranges of IP addresses, and which addresses are never public.
#pragma once

#include <optional>
#include <string>

#include "base/ip_address.h"
#include "base/result.h"

namespace postern::policy {

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
