// The resolver configuration of the host, resolv.conf(5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::policy {

// Addresses of its "nameserver" lines, at most three as there.
std::vector<std::string> ParseResolvConf(std::string_view text);

}  // namespace postern::policy
