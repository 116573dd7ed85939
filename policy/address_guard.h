// The address guard: which addresses a connection may go to, whatever name or literal led to them
// (SSRF).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace postern::policy {

// Whether a connection for `url`, allowed by `rule`, may go to `address`. nullopt: it may; else why
// not. `rule` is null in report mode, where no rule allowed it; `own`: addresses of this host.
std::optional<std::string> AddressBlocked(const Policy& policy, const Rule* rule, const Url& url,
                                          const IpAddress& address,
                                          const std::vector<IpAddress>& own);

// Whether a range that a policy opens opens `address`: it lies within, and is none of those that
// nobody means by a wide range: loopback, link-local, unspecified, multicast and broadcast
// addresses are opened by a range of such addresses alone; a cloud's metadata and this host's own
// addresses by themselves. An IPv4 address inside an IPv6 one is judged as what it is inside.
bool Opens(const Cidr& range, const IpAddress& address, const std::vector<IpAddress>& own);

}  // namespace postern::policy
