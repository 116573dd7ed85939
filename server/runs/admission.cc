#include "server/runs/admission.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.h"
#include "policy/file/narrow.h"

namespace postern::server {
namespace {

using nlohmann::json;
using run_api::ApiProblem;
using run_api::RefuseRequest;
using run_api::RunRequest;

policy::PolicyFile ParsePolicy(const std::string& text, const policy::PolicyFile& ceiling) {
  auto file = policy::ParsePolicyFile(text, "policy", ceiling, policy::kClientPolicy);
  if (!file) throw ApiProblem{400, "bad_policy", file.error().message};
  return *std::move(file);
}

policy::PolicyFile Within(Result<policy::PolicyFile> narrowed) {
  if (!narrowed) throw ApiProblem{403, "policy_exceeds_server", narrowed.error().message};
  return *std::move(narrowed);
}

// The policy in effect: the server's, less what the request leaves out.
policy::PolicyFile EffectivePolicy(const RunRequest& asked, const policy::PolicyFile& ceiling) {
  if (asked.policy.is_null() && asked.limits.is_null()) return ceiling;
  if (asked.policy.is_string()) {
    if (!asked.limits.is_null()) RefuseRequest("limits stand in the policy, where that is a text");
    return Within(policy::Narrow(ceiling, ParsePolicy(asked.policy, ceiling)));
  }
  json policy = asked.policy.is_null() ? json::object() : asked.policy;
  if (!policy.is_object()) RefuseRequest("policy must be an object, or the text of a policy file");
  policy.emplace("version", 1);
  if (!asked.limits.is_null() && !policy.emplace("limits", asked.limits).second)
    RefuseRequest("limits stand twice, in the policy and beside it");
  const policy::PolicyFile file = ParsePolicy(policy.dump(2), ceiling);
  return Within(asked.policy.is_null() ? policy::NarrowLimits(ceiling, file)
                                       : policy::Narrow(ceiling, file));
}

AdmittedRun Admit(RunRequest asked, const policy::PolicyFile& ceiling) {
  AdmittedRun run{.wait = asked.wait,
                  .input = std::move(asked.input),
                  .input_comes = asked.input_comes,
                  .console_events = asked.console_events,
                  .mounts = std::move(asked.mounts)};
  channel::GuestOrder& order = run.order;
  order.eval = asked.eval;
  order.print = asked.print;
  order.files = std::move(asked.files);
  order.cwd = asked.cwd.empty() ? RunRequest::kHome : asked.cwd;
  std::string name = order.eval ? "[eval]" : "[code]";
  if (asked.code) {
    order.source = *std::move(asked.code);
    order.url = CodeUrl(order.cwd, name, asked.extension);
  } else {
    name = asked.entry;
    order.source = order.files.at(name);
    order.url = FileUrl(name);
  }
  order.argv = {channel::kExecPath, name};
  order.argv.insert(order.argv.end(), asked.arguments.begin(), asked.arguments.end());
  run.policy = EffectivePolicy(asked, ceiling);
  for (const policy::MountSetting& m : run.policy.mounts) order.mounts.push_back(m.guest);
  for (const RunRequest::Mount& m : run.mounts) order.mounts.push_back(m.guest);
  for (auto& [variable, value] : asked.env) run.policy.env[variable] = std::move(value);
  return run;
}

}  // namespace

std::variant<AdmittedRun, ApiProblem> AdmitRun(std::string_view body,
                                               const policy::PolicyFile& ceiling) try {
  auto asked = run_api::ParseRunRequest(body);
  if (auto* problem = std::get_if<ApiProblem>(&asked)) return std::move(*problem);
  return Admit(std::get<RunRequest>(std::move(asked)), ceiling);
} catch (ApiProblem& problem) {
  problem.Shorten();
  return std::move(problem);
}

}  // namespace postern::server
