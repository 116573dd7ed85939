#include "policy/observed_policy.h"

#include <utility>

#include "base/format.h"
#include "policy/decision.h"

namespace postern::policy {
namespace {

constexpr size_t kMaxPaths = 200;          // of an origin; further ones become "any path"
constexpr size_t kMaxOrigins = 1'000;      // a policy of more is nobody's to read
constexpr size_t kMaxPathBytes = 1 << 20;  // of all origins, so that the policy has a limit

}  // namespace

void ObservedPolicy::Add(const std::string& method, const std::string& url, bool denied) {
  const auto parsed = ParseUrl(url);
  if (!parsed) return;
  SmallestRule rule({*parsed, method, {}});
  if (origins_.size() >= kMaxOrigins && !origins_.contains(rule.origin)) {
    more_origins_ = true;
    return;
  }
  auto& paths = origins_[rule.origin];
  const bool full = paths.size() >= kMaxPaths || path_bytes_ + rule.path.size() > kMaxPathBytes;
  const bool known = paths.contains(rule.path);
  if (!known && full) rule.path.clear();
  if (!known) path_bytes_ += rule.path.size();
  Seen& seen = paths[rule.path];
  seen.denied |= denied;
  seen.any_method |= rule.method.empty();
  if (!rule.method.empty()) seen.methods.insert(rule.method);
}

std::string ObservedPolicy::ToYaml() const {
  std::string out = "version: 1\nnetwork:\n  permission: allow\n  rules:";
  out += origins_.empty() ? " []\n" : "\n";
  for (const auto& [origin, paths] : origins_) {
    struct ObservedRule {
      std::string paths;
      bool denied = false, any_path = false;
    };
    std::map<std::set<std::string>, ObservedRule>
        rules;  // paths with the same methods share a rule
    for (const auto& [path, seen] : paths) {
      ObservedRule& rule = rules[seen.any_method ? std::set<std::string>() : seen.methods];
      rule.denied |= seen.denied;
      rule.any_path |= path.empty();
      rule.paths += fmt::format("{}{}\"", rule.paths.empty() ? "\"" : ", \"", path);
    }
    for (const auto& [methods, rule] : rules) {
      std::string names;
      for (const std::string& m : methods) names += (names.empty() ? "" : ", ") + m;
      fmt::format_to(std::back_inserter(out), "    - {{allow: \"{}\"", origin);
      if (!names.empty()) fmt::format_to(std::back_inserter(out), ", methods: [{}]", names);
      if (!rule.any_path) fmt::format_to(std::back_inserter(out), ", paths: [{}]", rule.paths);
      out += rule.denied ? "}\n" : "}  # allowed already\n";
    }
  }
  if (more_origins_) {
    fmt::format_to(std::back_inserter(out),
                   "    # and further origins: only the first {} are listed\n", kMaxOrigins);
  }
  return out;
}

}  // namespace postern::policy
