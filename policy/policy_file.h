// Policy files: YAML with `version: 1` (docs/policy.md). Every error names file:line:column and
// what would be right; an unknown key is refused with the nearest known one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "policy/policy.h"

namespace postern::policy {

// Limits of a run as a whole. Milliseconds and bytes.
struct RunLimits {
  int64_t wall = 300'000;
  int64_t cpu = 60'000;
  int64_t memory = 128LL << 20;
  int64_t output = 64LL << 20;  // stdout and stderr together
};

// A rule, limit or setting that a file left out is nullopt or empty, so that flags can tell.
struct PolicyFile {
  Policy network;
  bool sets_permission = false;
  bool sets_adapter = false;
  std::optional<std::string> ca_file;  // PEM, replaces the system's authorities
  RunLimits limits;
  std::map<std::string, std::string> env;
};

// `name` is used in messages.
Result<PolicyFile> ParsePolicyFile(std::string_view text, const std::string& name);

}  // namespace postern::policy
