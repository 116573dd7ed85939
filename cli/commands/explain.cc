#include "cli/commands/explain.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "base/exit_status.h"
#include "base/format.h"
#include "cli/commands/check.h"
#include "cli/print.h"
#include "policy/explain.h"

namespace postern::cli {
namespace {

constexpr size_t kNameColumn = 19;  // characters

}  // namespace

int ExplainPolicy(const Settings& settings) {
  const auto file = LoadToLookAt(settings.target);
  if (!file) {
    Say(file.error().message);
    return kExitBadInput;
  }
  const auto e = policy::Explain(file->network, settings.arguments[0], settings.arguments[1]);
  if (!e) {
    Say(e.error().message);
    return kExitWrongUsage;
  }
  std::string text;
  if (settings.json) {
    nlohmann::ordered_json out;
    for (const auto& [name, part] : e->parts) out[name] = part;
    text = fmt::format("{}\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    for (const auto& [name, part] : e->parts) {
      const size_t gap = kNameColumn - std::min(name.size(), kNameColumn);
      text.append(name).append(gap, ' ').append(part).append("\n");
    }
  }
  return PrintAndExit(text, e->allow ? 0 : 1);
}

}  // namespace postern::cli
