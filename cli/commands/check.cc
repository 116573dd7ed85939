#include "cli/commands/check.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/exit_status.h"
#include "base/format.h"
#include "cli/print.h"
#include "supervisor/load_policy.h"

namespace postern::cli {
namespace {

// Why a policy that speaks of the network grants nothing of it; null where it does, or where that
// is meant.
const char* GrantsNothing(const policy::Policy& p) {
  const bool allows = std::any_of(p.rules.begin(), p.rules.end(), [](auto& r) { return r.allow; });
  if (allows && !p.permission) return "its rules grant nothing without network.permission: allow";
  if (!allows && p.permission && !p.report)
    return "its permission grants nothing without a rule that allows something: network.rules";
  return nullptr;
}

// What the policy names and is not on this machine: it may be where the policy is used.
std::vector<std::string> NotHere(const policy::PolicyFile& file) {
  std::vector<std::string> missing;
  std::error_code error;
  for (const policy::MountSetting& m : file.mounts) {
    if (!std::filesystem::is_directory(m.host, error))
      missing.push_back(fmt::format("there is no directory {} here, which mounts names", m.host));
  }
  const policy::Adapter& adapter = file.network.adapter;
  if (adapter.kind == policy::AdapterKind::kReplay &&
      !std::filesystem::exists(adapter.target, error))
    missing.push_back(fmt::format("there is no file {} here, which adapter names", adapter.target));
  return missing;
}

}  // namespace

Result<policy::PolicyFile> LoadToLookAt(const std::string& path) {
  auto file = supervisor::LoadPolicyFile(path);
  if (!file) return file;
  if (Status s = supervisor::LoadNamedFiles(*file); !s) return s.error();
  return file;
}

int CheckPolicies(const Settings& settings) {
  int status = 0;
  for (const std::string& path : settings.arguments) {
    const auto file = LoadToLookAt(path);
    if (file) {
      const size_t rules = file->network.rules.size();
      status = PrintAndExit(
          fmt::format("{}: ok, {}{}", path, rules, rules == 1 ? " rule\n" : " rules\n"), status);
      if (const char* why = GrantsNothing(file->network); why != nullptr)
        Say(fmt::format("{}: {}", path, why));
      for (const std::string& why : NotHere(*file)) Say(fmt::format("{}: {}", path, why));
    } else {
      Say(file.error().message);
      status = kExitBadInput;
    }
  }
  return status;
}

}  // namespace postern::cli
