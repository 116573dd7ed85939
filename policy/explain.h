// Explain: what a policy makes of one request, for `postern explain`, without any network.
#pragma once

#include <string>
#include <vector>

#include "policy/policy.h"

namespace postern::policy {

struct Explanation {
  bool allow = false;
  // Name and text: "decision", "rule", "change", "addresses", "adapter", "headers", "secrets", …
  std::vector<std::pair<std::string, std::string>> parts;
};

// An error where `url` is none that a guest could fetch, or `method` none that it could use.
Result<Explanation> Explain(const Policy& policy, std::string_view method, std::string_view url);

}  // namespace postern::policy
