#include "policy/address_guard.h"

#include <algorithm>

#include "base/format.h"

namespace postern::policy {
namespace {

// Addresses of this machine, of its link, and of everybody: not what a wide range is written for.
const std::vector<Cidr>& Enclosed() {
  static const auto kRanges = [] {
    std::vector<Cidr> ranges;
    for (const char* cidr : {"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",
                             "255.255.255.255/32", "::/128", "::1/128", "fe80::/10", "ff00::/8"}) {
      ranges.push_back(*Cidr::Parse(cidr));
    }
    return ranges;
  }();
  return kRanges;
}

bool IsOne(const Cidr& range) { return range.prefix == (range.base.v6 ? 128 : 32); }

// What `range` of IPv6 addresses is of the IPv4 addresses inside those embedded as `address` is.
Cidr EmbeddedRange(const Cidr& range, const IpAddress& address) {
  const int begins = EmbeddedAt(address);
  const auto base = EmbeddedIpv4(range.base);
  // A range of prefixes alone, or of obfuscated bits (Teredo): all of them, unless it is one.
  if (!base || range.prefix <= begins) return {IpAddress{}, 0};
  const int prefix = std::min(range.prefix - begins, 32);
  return {base->Masked(prefix), prefix};
}

}  // namespace

bool Opens(const Cidr& range, const IpAddress& address, const std::vector<IpAddress>& own) {
  if (!range.Contains(address)) return false;
  if (const auto inner = EmbeddedIpv4(address)) {
    return Opens(EmbeddedRange(range, address), *inner, own);
  }
  if (IsOne(range)) return true;
  if (IsMetadata(address)) return false;
  for (const Cidr& enclosed : Enclosed()) {
    if (!enclosed.Contains(address)) continue;
    return enclosed.Contains(range.base) && range.prefix >= enclosed.prefix;
  }
  return std::find(own.begin(), own.end(), address) == own.end();
}

std::optional<std::string> AddressBlocked(const Policy& policy, const Rule* rule, const Url& url,
                                          const IpAddress& address,
                                          const std::vector<IpAddress>& own) {
  const auto embedded = EmbeddedIpv4(address);
  for (const Cidr& denied : policy.denied_addresses) {
    if (denied.Contains(address) || (embedded && denied.Contains(*embedded))) {
      return fmt::format("denied by addresses: {{deny: [{}]}}", denied.ToString());
    }
  }
  const auto opens = [&](const Cidr& range) { return Opens(range, address, own); };
  if (rule != nullptr) {
    const Target& t = rule->target;
    const bool literal =
        t.kind == Target::Kind::kAddress || (t.kind == Target::Kind::kRange && url.host_is_ip);
    if (literal && opens(t.range)) return std::nullopt;
    if (std::any_of(rule->addresses.begin(), rule->addresses.end(), opens)) return std::nullopt;
  }
  const auto special = NotPublic(address);
  const bool localhost =
      rule != nullptr && rule->target.kind == Target::Kind::kHost && IsLocalhost(rule->target.host);
  if (localhost && special == "loopback") return std::nullopt;
  if (special) return *special;
  if (std::find(own.begin(), own.end(), address) != own.end()) return "an address of this host";
  return std::nullopt;
}

}  // namespace postern::policy
