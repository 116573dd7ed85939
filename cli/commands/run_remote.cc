#include "cli/commands/run_remote.h"

#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "base/descriptor_rights.h"
#include "base/format.h"
#include "base/text.h"
#include "cli/print.h"
#include "clients/cpp/run_client.h"
#include "supervisor/program_source.h"
#include "supervisor/run.h"

namespace postern::cli {
namespace {

using nlohmann::json;

// What a server takes of the command line's policy; a sentence for what it cannot.
Result<json> AskedPolicy(const policy::PolicyFile& p) {
  const policy::Policy& n = p.network;
  const std::pair<bool, const char*> served[] = {
      {!p.secrets.empty(), "secrets"},
      {p.audit_file.has_value(), "an audit log"},
      {n.report, "a network report"},
      {n.adapter.kind == policy::AdapterKind::kProxy, "a proxy"},
      {n.adapter.kind == policy::AdapterKind::kReplay, "a replay"}};
  for (const auto& [said, what] : served) {
    if (said)
      return Error{fmt::format("{} is the server's to give; leave it out with --server", what)};
  }
  json rules = json::array();
  for (const policy::Rule& r : n.rules) {
    json rule = {{r.allow ? "allow" : "deny", r.text}};
    if (!r.methods.empty()) rule["methods"] = r.methods;
    for (const policy::PathPattern& path : r.paths) {
      if (r.target.path.empty()) rule["paths"].push_back(path.text());
    }
    if (!r.headers.empty() || !r.secrets.empty() || !r.addresses.empty())
      return Error{
          fmt::format("headers, secrets and addresses of the rule \"{}\" are the server's to give; "
                      "leave them out with --server",
                      r.text)};
    rules.push_back(std::move(rule));
  }
  json network = {{"permission", n.permission ? "allow" : "deny"}, {"rules", std::move(rules)}};
  if (n.adapter.kind == policy::AdapterKind::kNone) network["adapter"] = "none";
  json limits = json::object();
  const policy::RunLimits usual;
  for (const policy::RunLimitName& l : policy::kRunLimits) {
    if (p.limits.*(l.member) == usual.*(l.member)) continue;
    const std::string_view unit = l.unit;  // " bytes" is what a number without one is of
    limits[l.name] = fmt::format("{}{}", p.limits.*(l.member),
                                 unit == " ms"  ? "ms"
                                 : unit == "us" ? "us"
                                                : "");
  }
  return json{{"version", 1}, {"network", std::move(network)}, {"limits", std::move(limits)}};
}

// What is an option of the server, and not of a run that it is asked for.
Status CheckOptions(const Settings& s) {
  const std::pair<bool, const char*> served[] = {
      {s.record_file.has_value(), "a recording is the server's to make; leave it out"},
      {s.verbose, "lines of requests are printed by postern serve --verbose; leave it out"},
      {!s.required_layers.empty(), "layers are required of postern serve --require; leave it out"},
      {s.jitless, "--jitless is an option of postern serve; leave it out"},
      {s.debug_seccomp, "--debug-seccomp is an option of postern serve; leave it out"}};
  for (const auto& [said, what] : served) {
    if (said) return Error{fmt::format("{} with --server", what)};
  }
  return Ok{};
}

Result<run_api::RunRequest> Request(const Settings& s, supervisor::ProgramSource& entry) {
  auto policy = AskedPolicy(s.policy);
  if (!policy) return policy.error();
  channel::GuestOrder& order = entry.order;
  run_api::RunRequest request{.arguments = s.arguments,
                              .env = s.policy.env,
                              .cwd = order.cwd,
                              .policy = *std::move(policy),
                              .input_comes = s.target != "-",
                              .console_events = !s.json};
  request.files = std::move(order.files);
  if (order.eval) {
    request.code = std::move(order.source);
    request.eval = true;
    request.print = order.print;
    request.extension = s.extension;
  } else {
    request.entry = s.target == "-" ? InDirectory(order.cwd, CodeName("[stdin]", s.extension))
                                    : order.argv.at(1);
    request.files[request.entry] = std::move(order.source);
  }
  for (const supervisor::OpenMount& m : entry.mounts)
    request.mounts.push_back({m.guest, m.writable});
  return request;
}

RemoteResult Failed(const Settings& settings, const std::string& why, int status) {
  RemoteResult result{.exit_status = status, .message = why};
  if (settings.json) result.json = run_api::Outcome::Refused(why, status).ToJson();
  return result;
}

// Whether the error is what Postern itself has to say. What a guest throws, whatever its name, the
// guest has printed already.
bool IsOurs(const json& outcome, int exit_status) {
  const json kind = outcome.value("outcome", json());
  return outcome.value("error", json::object()).value("name", "") == "PosternError" &&
         kind != "succeeded" && (kind != "failed" || exit_status == kExitCannotRun);
}

// `has_directories`: of the program, at the server.
RemoteResult FromOutcome(const Settings& settings, const std::string& text, bool has_directories) {
  const json outcome = json::parse(text, nullptr, false);
  if (!outcome.is_object() || !outcome.contains("exitCode") || !outcome["exitCode"].is_number())
    return Failed(settings, "the server was lost: its answer is no outcome", kExitCannotRun);
  RemoteResult result{.exit_status = outcome["exitCode"].get<int>()};
  if (settings.json) result.json = text.substr(0, text.find_last_not_of('\n') + 1);
  const json error = outcome.value("error", json::object());
  if (IsOurs(outcome, result.exit_status)) result.message = error.value("message", "");
  const std::string code = error.value("cause", json::object()).value("code", "");
  if (!has_directories && (code == "ERR_MODULE_NOT_FOUND" || code == "MODULE_NOT_FOUND"))
    result.message =
        "over TCP the program's file alone goes to the server, and nothing that it imports: "
        "bundle it into one file";
  return result;
}

RemoteResult FromRefusal(const Settings& settings, const client::RunAnswer& answer) {
  const int status = answer.status;
  const bool cannot = status >= 500 || status == 429 || status == 401;
  const char* next = status == 401 ? "; the variable POSTERN_TOKEN gives one" : "";
  return Failed(settings, fmt::format("the server refuses: {}{}", answer.refusal, next),
                cannot ? kExitCannotRun : kExitBadInput);
}

}  // namespace

RemoteResult RunRemotely(const Settings& settings) {
  if (const Status known = CheckOptions(settings); !known)
    return Failed(settings, known.error().message, kExitWrongUsage);
  auto entry = supervisor::ReadProgramSource(settings.Program(), settings.policy.mounts);
  if (!entry) return Failed(settings, entry.error().message, kExitBadInput);
  for (const std::string& note : entry->notes) Say(note);
  auto server = client::RunClient::Connect(settings.server);
  if (!server) {
    const bool named = server.error().errnum != 0;  // it is a server's name, and none answers
    return Failed(settings, server.error().message, named ? kExitCannotRun : kExitWrongUsage);
  }
  if (!server->same_user()) entry->mounts.clear();
  if (entry->mounts.size() > kMaxFds)
    return Failed(settings,
                  fmt::format("a run with --server has at most {} directories, its module's among "
                              "them; this one has {}: mount one that has others in it",
                              kMaxFds, entry->mounts.size()),
                  kExitWrongUsage);
  const auto request = Request(settings, *entry);
  if (!request) return Failed(settings, request.error().message, kExitWrongUsage);
  std::vector<int> directories;
  for (const supervisor::OpenMount& m : entry->mounts) directories.push_back(m.directory.get());
  const char* token = std::getenv("POSTERN_TOKEN");
  std::optional<Unwritten> unwritten;
  const auto answer =
      server->Run(*request, directories,
                  {.token = token == nullptr ? "" : token,
                   .trace = settings.policy.network.trace,
                   .input = STDIN_FILENO,
                   .console = [&](bool err, std::string_view bytes) {
                     const int error = WriteAll(err ? STDERR_FILENO : STDOUT_FILENO, bytes);
                     if (error != 0)
                       unwritten.emplace(err ? "standard error" : "standard output", error);
                     return error == 0;
                   }});
  if (unwritten) return Failed(settings, unwritten->message, unwritten->exit_status);
  if (!answer) return Failed(settings, answer.error().message, kExitCannotRun);
  if (answer->status != 200) return FromRefusal(settings, *answer);
  return FromOutcome(settings, answer->outcome, server->same_user());
}

}  // namespace postern::cli
