// Policy files: YAML with `version: 1` (docs/policy.md, docs/policy.schema.json). Every error names
// file:line:column and what would be right.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "policy/policy.h"

namespace postern::policy {

// Limits of a run as a whole. Milliseconds and bytes, where nothing else is said.
struct RunLimits {
  int64_t wall = 300'000;
  int64_t cpu = 60'000;
  int64_t memory = 128LL << 20;
  int64_t output = 64LL << 20;     // stdout and stderr together
  int64_t grace = 5'000;           // for a guest that listens for SIGTERM or SIGINT
  int64_t timer_resolution = 100;  // of every clock a guest can read, microseconds
};

struct RunLimitName {
  const char* name;
  int64_t RunLimits::*member;
  Result<int64_t> (*parse)(std::string_view);
  const char* unit;  // of the bounds, in messages
  int64_t min;
  int64_t max = INT64_MAX;
};
inline constexpr RunLimitName kRunLimits[] = {
    {"wall", &RunLimits::wall, ParseDuration, " ms", 1},
    {"cpu", &RunLimits::cpu, ParseDuration, " ms", 1},
    // V8 with the runtime needs as much.
    {"memory", &RunLimits::memory, ParseBytes, " bytes", 16LL << 20},
    {"output", &RunLimits::output, ParseBytes, " bytes", 0},
    {"grace", &RunLimits::grace, ParseDuration, " ms", 0},
    {"timer_resolution", &RunLimits::timer_resolution, ParseResolution, "us", 1, 1'000'000},
};

// Reads "5s" or "128MiB" for a run's limit, within its bounds.
Result<int64_t> ParseRunLimit(const RunLimitName& limit, std::string_view text);

struct MountSetting {
  std::string host, guest;  // `guest`: absolute, without a trailing slash; "" for the root
  bool writable = false;
};
// A sentence where `guest` is no absolute path or `mode` is none that there is.
Result<MountSetting> ParseMount(const std::string& host, std::string guest, std::string_view mode);

// Where a secret's value comes from.
struct SecretSource {
  // A variable of the supervisor's environment, a file, or a credential that the service manager
  // gave (systemd.exec(5), LoadCredential=).
  enum class Kind { kVariable, kFile, kCredential } kind = Kind::kVariable;
  std::string name;
};

struct PolicyFile {
  Policy network;
  std::optional<std::string> ca_file;  // PEM, replaces the system's authorities
  std::optional<std::string> audit_file;
  std::map<std::string, SecretSource> secrets;
  RunLimits limits;
  std::vector<MountSetting> mounts;
  std::map<std::string, std::string> env;
};

// What a policy may be as a text. Reading it takes time and memory in proportion to that.
struct PolicyBounds {
  size_t bytes = 4UL << 20;
  size_t values = SIZE_MAX;  // of lists and mappings: keys, values, and they themselves
  size_t depth = 500;        // of lists and mappings in each other
  bool anchors = true;       // with which a short text can stand for a long policy
};
// Of who runs Postern; of who is only its client.
inline constexpr PolicyBounds kOwnPolicy;
inline constexpr PolicyBounds kClientPolicy{
    .bytes = 256UL << 10, .values = 5'000, .depth = 32, .anchors = false};

// `name` is used in messages. Limits that the text does not name are those of `base`.
Result<PolicyFile> ParsePolicyFile(std::string_view text, const std::string& name,
                                   const PolicyFile& base = {},
                                   const PolicyBounds& bounds = kOwnPolicy);

// A secret's name: a letter or "_", then letters, digits and "_".
bool IsSecretName(std::string_view name);

}  // namespace postern::policy
