// Policy: what a guest may do on the network, as data, and the decisions that follow from it.
//
// Pure: no I/O, no clock. Supervisor, broker and `postern explain` share it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/address.h"
#include "policy/url.h"

namespace postern::policy {

// A rule's target in canonical form.
struct Target {
  enum class Kind { kHost, kSubdomains, kAnyPublic, kAddress, kRange };
  Kind kind = Kind::kHost;
  std::string scheme;  // empty: http and https (and what upgrades from them)
  std::string host;    // kHost: the host; kSubdomains: what follows "*."
  Cidr range;          // kAddress, kRange
  uint16_t port = 0;   // 0: any

  // "host", "host:port", "*.host", "*", "scheme://host[:port]", IP literals, CIDR ranges.
  static Result<Target> Parse(std::string_view text);
  bool Matches(const Url& url) const;
};

struct Rule {
  bool allow = true;
  std::string text;    // as written
  std::string origin;  // where: "--allow-net" or FILE:LINE
  Target target;
  std::vector<Cidr> addresses;  // non-public ranges that this rule's host may resolve into
};

enum class AdapterKind { kNone, kDirect };

// Every duration is in milliseconds and finite. 0 means "no limit" only where said.
struct Limits {
  int64_t resolve_timeout = 5'000;
  int64_t connect_timeout = 5'000;  // TCP
  int64_t tls_timeout = 10'000;
  int64_t headers_timeout = 30'000;  // from the request sent to the last header byte: a total
  int64_t idle_timeout = 30'000;     // a period of the body in which fewer than min_rate bytes came
  int64_t min_bytes = 1;             // bytes that each idle_timeout must bring at least
  int64_t upload_timeout = 30'000;   // the origin takes nothing of a body that the guest has sent
  int64_t unread_timeout = 120'000;  // the guest reads nothing of a body that is waiting for it
  int64_t total_timeout = 300'000;
  int64_t concurrent = 64;
  int64_t requests = 1'000'000;
  int64_t request_bytes = 64LL << 20;  // a request
  int64_t response_bytes = 1LL << 30;  // a response, decoded
  int64_t header_bytes = 64 << 10;     // a response's header section, informational ones included
  int64_t header_count = 256;
  int64_t redirects = 20;
};

struct Dns {
  std::vector<std::string> servers;  // "address" or "address:port"; empty: resolv.conf
  std::map<std::string, std::vector<std::string>> hosts;  // canonical name -> addresses
};

struct Policy {
  bool permission = false;
  AdapterKind adapter = AdapterKind::kDirect;
  std::vector<Rule> rules;
  std::vector<Cidr> denied_addresses;
  Limits limits;
  Dns dns;
};

struct Decision {
  bool allow = false;
  const Rule* rule = nullptr;  // the rule that made it; null where none matched
  std::string reason;  // for a denial: a sentence with the host, the port and what would allow it
};

// Whether a request to `url` may be made at all: permission, then denies, then allows.
Decision Decide(const Policy& policy, const Url& url);

// Whether a connection for `url`, allowed by `rule`, may go to `address`. nullopt: it may; else why
// not.
std::optional<std::string> AddressBlocked(const Policy& policy, const Rule& rule, const Url& url,
                                          const IpAddress& address,
                                          const std::vector<IpAddress>& own);

// Every TCP port that a connection under `policy` can need, DNS over TCP among them; nullopt where
// a rule allows any port.
std::optional<std::vector<uint16_t>> ConnectPorts(const Policy& policy);

// The policy as one JSON text, from the supervisor to its broker.
std::string ToJson(const Policy& policy);
Result<Policy> FromJson(std::string_view text);

// Limits by the names they have in a policy file, for the parser, the JSON form and the docs.
struct LimitName {
  const char* name;
  int64_t Limits::*member;
  enum class Unit { kDuration, kBytes, kCount } unit;
  int64_t min, max;
};
const std::vector<LimitName>& LimitNames();

}  // namespace postern::policy
