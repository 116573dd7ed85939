#include "supervisor/policy_commands.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "policy/explain.h"
#include "supervisor/load_policy.h"

namespace postern::supervisor {
namespace {

// Without the secrets' values, which need not be here where a policy is only looked at.
Result<policy::PolicyFile> LoadWithFiles(const std::string& path) {
  auto file = LoadPolicyFile(path);
  if (!file) return file;
  if (Status s = LoadNamedFiles(*file); !s) return s.error();
  return file;
}

}  // namespace

int CheckPolicies(const Settings& settings) {
  int status = 0;
  for (const std::string& path : settings.arguments) {
    const auto file = LoadWithFiles(path);
    if (file) {
      const size_t rules = file->network.rules.size();
      std::printf("%s: ok, %zu rule%s\n", path.c_str(), rules, rules == 1 ? "" : "s");
    } else {
      std::fprintf(stderr, "postern: %s\n", file.error().message.c_str());
      status = kBadInput;
    }
  }
  return status;
}

int ExplainPolicy(const Settings& settings) {
  const auto file = LoadWithFiles(settings.target);
  if (!file) {
    std::fprintf(stderr, "postern: %s\n", file.error().message.c_str());
    return kBadInput;
  }
  const auto e = policy::Explain(file->network, settings.arguments[0], settings.arguments[1]);
  if (!e) {
    std::fprintf(stderr, "postern: %s\n", e.error().message.c_str());
    return kWrongUsage;
  }
  if (settings.json) {
    nlohmann::ordered_json out;
    for (const auto& [name, text] : e->parts) out[name] = text;
    std::printf("%s\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    for (const auto& [name, text] : e->parts) std::printf("%-19s%s\n", name.c_str(), text.c_str());
  }
  return e->allow ? 0 : 1;
}

}  // namespace postern::supervisor
