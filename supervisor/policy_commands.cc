#include "supervisor/policy_commands.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "policy/explain.h"
#include "supervisor/load_policy.h"
#include "supervisor/print.h"

namespace postern::supervisor {
namespace {

constexpr size_t kNameColumn = 19;  // characters

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
      status = PrintAndExit(
          path + ": ok, " + std::to_string(rules) + (rules == 1 ? " rule\n" : " rules\n"), status);
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
  std::string text;
  if (settings.json) {
    nlohmann::ordered_json out;
    for (const auto& [name, part] : e->parts) out[name] = part;
    text = out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  } else {
    for (const auto& [name, part] : e->parts) {
      const size_t gap = kNameColumn - std::min(name.size(), kNameColumn);
      text.append(name).append(gap, ' ').append(part).append("\n");
    }
  }
  return PrintAndExit(text, e->allow ? 0 : 1);
}

}  // namespace postern::supervisor
