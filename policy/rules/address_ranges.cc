#include "policy/rules/address_ranges.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include "base/format.h"

namespace postern::policy {
namespace {

struct Special {
  const char* cidr;
  const char* name;
};

// IANA IPv4 and IPv6 Special-Purpose Address Registries, and multicast (RFC 5771, RFC 4291).
constexpr Special kSpecial[] = {
    {"0.0.0.0/8", "unspecified"},
    {"10.0.0.0/8", "private"},
    {"100.64.0.0/10", "CGNAT"},
    {"127.0.0.0/8", "loopback"},
    {"169.254.0.0/16", "link-local"},
    {"172.16.0.0/12", "private"},
    {"192.0.0.0/24", "reserved"},
    {"192.0.2.0/24", "documentation"},
    {"192.88.99.0/24", "reserved"},
    {"192.168.0.0/16", "private"},
    {"198.18.0.0/15", "benchmarking"},
    {"198.51.100.0/24", "documentation"},
    {"203.0.113.0/24", "documentation"},
    {"224.0.0.0/4", "multicast"},
    {"255.255.255.255/32", "broadcast"},
    {"240.0.0.0/4", "reserved"},
    {"::/128", "unspecified"},
    {"::1/128", "loopback"},
    {"::ffff:0:0/96", "IPv4-mapped"},
    {"::ffff:0:0:0/96", "IPv4-translated"},
    {"::/96", "IPv4-compatible"},
    {"64:ff9b::/96", "NAT64"},
    {"64:ff9b:1::/48", "NAT64"},
    {"100::/64", "reserved"},
    {"2001::/32", "Teredo"},
    {"2001:2::/48", "benchmarking"},
    {"2001:db8::/32", "documentation"},
    {"2001::/23", "reserved"},
    {"2002::/16", "6to4"},
    {"3fff::/20", "documentation"},
    {"5f00::/16", "reserved"},
    {"fc00::/7", "private"},
    {"fe80::/10", "link-local"},
    {"fec0::/10", "site-local"},
    {"ff00::/8", "multicast"},
};

// The addresses at which clouds serve instance metadata, and with it credentials, from their own
// documents.
constexpr const char* kMetadata[] = {
    "169.254.169.254/32",      // AWS, Azure, Google Cloud, Oracle, DigitalOcean and others
    "169.254.170.2/32",        // AWS ECS: credentials of a task
    "169.254.170.23/32",       // AWS EKS: of a pod
    "169.254.42.42/32",        // Scaleway
    "169.254.0.23/32",         // Tencent Cloud
    "100.100.100.200/32",      // Alibaba Cloud
    "100.96.0.96/32",          // Volcano Engine
    "168.63.129.16/32",        // Azure's host, though the address is a public one
    "192.0.0.192/32",          // Oracle, formerly
    "fd00:ec2::254/128",       // AWS
    "fd00:ec2::23/128",        // AWS EKS
    "fd20:ce::254/128",        // Google Cloud
    "fd00:42::42/128",         // Scaleway
    "fd00:c1::a9fe:a9fe/128",  // Oracle
};
constexpr const char* kMetadataName = "cloud metadata";

std::optional<std::string> Find(const IpAddress& address) {
  static const auto kTable = [] {
    std::vector<std::pair<Cidr, const char*>> table;
    for (const char* cidr : kMetadata) table.emplace_back(*Cidr::Parse(cidr), kMetadataName);
    for (const Special& s : kSpecial) table.emplace_back(*Cidr::Parse(s.cidr), s.name);
    return table;
  }();
  for (const auto& [cidr, name] : kTable) {
    if (cidr.Contains(address)) return name;
  }
  return std::nullopt;
}

// By which embedding an IPv6 address holds an IPv4 one; empty for none.
std::string_view Embedding(const IpAddress& a) {
  if (!a.v6) return {};
  // ISATAP (RFC 5214): any prefix, interface identifier 00-00-5e-fe or 02-00-5e-fe and an IPv4
  // address.
  const auto& b = a.bytes;
  if ((b[8] & ~0x02) == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe) return "ISATAP";
  const auto name = Find(a);
  for (const std::string_view how :
       {"IPv4-mapped", "IPv4-translated", "IPv4-compatible", "NAT64", "6to4", "Teredo"}) {
    if (name == how) return how;
  }
  return {};
}

}  // namespace

Result<Cidr> Cidr::Parse(const std::string& text) {
  const size_t slash = text.find('/');
  const auto base = IpAddress::Parse(text.substr(0, slash));
  if (!base) return Error{fmt::format("not an IP address or range: {}", text)};
  Cidr cidr{*base, base->v6 ? 128 : 32};
  if (slash == std::string::npos) return cidr;
  const char* first = text.data() + slash + 1;
  const char* last = text.data() + text.size();
  const int bits = cidr.prefix;
  const auto [end, error] = std::from_chars(first, last, cidr.prefix);
  if (error != std::errc() || end != last || cidr.prefix < 0 || cidr.prefix > bits) {
    return Error{fmt::format("a range's prefix must be 0 to {} bits: {}", bits, text)};
  }
  if (const IpAddress begin = cidr.base.Masked(cidr.prefix); begin != cidr.base) {
    return Error{fmt::format("a range begins with its first address: write {} for {}",
                             Cidr{begin, cidr.prefix}.ToString(), text)};
  }
  return cidr;
}

bool Cidr::Contains(const IpAddress& a) const {
  if (a.v6 != base.v6) return false;
  const int whole = prefix / 8;
  if (std::memcmp(a.bytes.data(), base.bytes.data(), static_cast<size_t>(whole)) != 0) return false;
  const int rest = prefix % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return ((a.bytes[whole] ^ base.bytes[whole]) & mask) == 0;
}

std::string Cidr::ToString() const { return fmt::format("{}/{}", base.ToString(), prefix); }

std::optional<IpAddress> EmbeddedIpv4(const IpAddress& address) {
  const std::string_view how = Embedding(address);
  if (how.empty()) return std::nullopt;
  IpAddress v4;
  std::memcpy(v4.bytes.data(), address.bytes.data() + (how == "6to4" ? 2 : 12), 4);
  if (how == "Teredo") {
    for (int i = 0; i < 4; ++i) v4.bytes[i] ^= 0xff;  // RFC 4380 section 4: obfuscated
  }
  return v4;
}

int EmbeddedAt(const IpAddress& address) { return Embedding(address) == "6to4" ? 16 : 96; }

bool IsMetadata(const IpAddress& address) { return Find(address) == kMetadataName; }

std::optional<std::string> NotPublic(const IpAddress& address) {
  const auto embedded = EmbeddedIpv4(address);
  if (!embedded) return Find(address);
  const std::string how(Embedding(address));
  const auto inner = Find(*embedded);
  return inner ? fmt::format("{} {}", how, *inner) : how;
}

}  // namespace postern::policy
