#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "base/format.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/manual.h"
#include "cli/serve_options.h"
#include "cli/settings.h"
#include "cli/words.h"
#include "policy/trace_context.h"
#include "supervisor/load_policy.h"

namespace postern::cli {
namespace {

constexpr const char* kExamples = R"(  postern run app.mjs
  postern run --allow-net=api.example.com --env=API_URL app.mjs 8080
  postern run --mount=./data:/data --memory=256MiB --timeout=10s app.ts
  postern eval --allow-net=example.com '(await fetch("https://example.com")).status'
)";

struct Raw {
  std::string file, code, policy, adapter, timeout, cpu, grace, memory, timer_resolution, cwd,
      audit_log, record, method, url, shell;
  ServeTexts serve;
  std::vector<std::string> allow, deny, env, mounts, secrets, require, words;
  bool report = false;
};

void AddRunOptions(CLI::App& app, Raw& raw, Settings& s) {
  app.add_option("--allow-net", raw.allow,
                 "Grant the network, for RULE[,RULE…] only; without a rule: any public address")
      ->delimiter(',')
      ->type_name("[RULE,…]");
  app.add_option("--deny-net", raw.deny, "Refuse RULE[,RULE…]; wins over every allow")
      ->delimiter(',')
      ->type_name("RULE,…");
  app.add_option("--adapter", raw.adapter,
                 "What performs a permitted request: none, direct, proxy:URL or replay:FILE.har "
                 "(default direct)")
      ->type_name("NAME");
  app.add_option("--policy", raw.policy, "Policy file (docs/policy.md); flags win over it")
      ->type_name("FILE");
  app.add_option("--secret", raw.secrets,
                 "Keep the variable NAME from the guest, which gets a placeholder; requests under "
                 "RULE carry the value")
      ->type_name("NAME[@RULE]");
  app.add_option("--audit-log", raw.audit_log, "Append a JSON line for each decision and end")
      ->type_name("FILE");
  app.add_option("--record", raw.record, "Write all traffic to a HAR file, for --adapter=replay:")
      ->type_name("FILE.har");
  app.add_flag("--verbose", s.verbose, "A line on stderr for each request");
  app.add_option("--env", raw.env, "Give the guest a variable, with this or its present value")
      ->type_name("NAME[=VALUE]");
  app.add_option("--mount", raw.mounts,
                 "Let the guest read a directory, at its own path or GUEST; or write it too")
      ->type_name("HOST[:GUEST][:rw]");
  app.add_option(
         "--cwd", raw.cwd,
         "What process.cwd() says in the guest, where eval and - import from (default: FILE's "
         "directory, or /)")
      ->type_name("DIR");
  app.add_option("--timeout", raw.timeout, "Wall-clock limit of the run (default 5m)")
      ->type_name("5s");
  app.add_option("--cpu", raw.cpu, "CPU time limit of the run (default 60s)")->type_name("5s");
  app.add_option("--memory", raw.memory, "Memory limit of the guest (default 128MiB)")
      ->type_name("128MiB");
  app.add_option("--timer-resolution", raw.timer_resolution,
                 "How fine the guest's clocks are (default 100us)")
      ->type_name("1ms");
  app.add_option("--require", raw.require,
                 "Refuse to run without these layers (see postern doctor)")
      ->delimiter(',')
      ->type_name("LAYER,…");
  app.add_flag("--jitless", s.jitless,
               "No machine code is generated: slower, and no executable memory at all");
  app.add_flag("--debug-seccomp", s.debug_seccomp,
               "Name a forbidden system call on stderr (for developers)");
}

Result<policy::Rule> RuleOfFlag(const std::string& text, bool allow, const std::string& flag) {
  policy::Rule rule{.allow = allow, .text = text, .origin = flag};
  auto target = policy::Target::Parse(text);
  if (!target) return target.error();
  rule.target = *std::move(target);
  if (rule.target.path.empty()) return rule;
  auto path = policy::PathPattern::Parse(rule.target.path);
  if (!path) return path.error();
  rule.paths.push_back(*std::move(path));
  return rule;
}

Status AddRules(const std::vector<std::string>& texts, bool allow, policy::Policy& p) {
  const std::string flag = allow ? "--allow-net" : "--deny-net";
  const std::string* before = nullptr;
  for (const std::string& text : texts) {
    // "a.test:80,443"
    if (before != nullptr && text.find_first_not_of("0123456789") == std::string::npos)
      return Error{fmt::format("{}: each port has its host: write {},{}:{}", flag, *before,
                               SplitPort(*before).first, text)};
    before = &text;
    auto rule = RuleOfFlag(text, allow, flag);
    if (!rule) return rule.error();
    p.rules.push_back(*std::move(rule));
  }
  return Ok{};
}

// "NAME", or "NAME@RULE": a secret from the environment, and a rule whose requests may carry it.
Status AddSecret(const std::string& text, policy::PolicyFile& p) {
  const size_t at = text.find('@');
  const std::string name = text.substr(0, at);
  if (!policy::IsSecretName(name)) {
    return Error{fmt::format("--secret: \"{}\" is no name of a variable, as in API_KEY", name)};
  }
  p.secrets[name] = {.name = name};
  if (at == std::string::npos) return Ok{};
  auto rule = RuleOfFlag(text.substr(at + 1), true, "--secret");
  if (!rule) return Error{fmt::format("--secret: {}", rule.error().message)};
  rule->secrets = {name};
  if (Status s = policy::CheckRule(*rule); !s)
    return Error{fmt::format("--secret: {}", s.error().message)};
  p.network.permission = true;
  p.network.rules.push_back(*std::move(rule));
  return Ok{};
}

Status SetAdapter(const std::string& text, policy::Adapter& adapter) {
  using K = policy::AdapterKind;
  if (text.empty()) return Ok{};
  if (text == "none" || text == "direct") {
    adapter = {.kind = text == "none" ? K::kNone : K::kDirect};
  } else if (text.starts_with("proxy:")) {
    adapter = {.kind = K::kProxy, .target = text.substr(6)};
    if (const auto url = policy::ParseProxyUrl(adapter.target); !url) {
      return Error{fmt::format("--adapter: {}", url.error().message)};
    }
  } else if (text.starts_with("replay:") && text.size() > 7) {
    adapter = {.kind = K::kReplay, .target = text.substr(7)};
  } else {
    return Error{
        fmt::format("--adapter: \"{}\" is none of: none, direct, proxy:URL, replay:FILE", text)};
  }
  return Ok{};
}

Status SetRunLimits(const Raw& raw, policy::RunLimits& limits) {
  const std::tuple<const char*, const std::string&, const char*> flags[] = {
      {"--timeout", raw.timeout, "wall"},
      {"--cpu", raw.cpu, "cpu"},
      {"--grace", raw.grace, "grace"},
      {"--memory", raw.memory, "memory"},
      {"--timer-resolution", raw.timer_resolution, "timer_resolution"}};
  for (const auto& [flag, text, name] : flags) {
    if (text.empty()) continue;
    for (const policy::RunLimitName& l : policy::kRunLimits) {
      if (std::string_view(l.name) != name) continue;
      const auto value = policy::ParseRunLimit(l, text);
      if (!value) return Error{fmt::format("{}: {}", flag, value.error().message)};
      limits.*(l.member) = *value;
    }
  }
  return Ok{};
}

Status SetVariable(const std::string& entry, std::map<std::string, std::string>& env) {
  const size_t eq = entry.find('=');
  const std::string name = entry.substr(0, eq);
  if (name.empty()) return Error{fmt::format("--env: \"{}\" has no name", entry)};
  if (eq != std::string::npos) {
    env[name] = entry.substr(eq + 1);
  } else if (const char* value = std::getenv(name.c_str())) {
    env[name] = value;
  } else {
    return Error{
        fmt::format("--env: {} is not set here; give it a value: --env={}=VALUE", name, name)};
  }
  return Ok{};
}

// A path of this machine as the guest is to see it: at its own place.
std::string OwnPlace(const std::string& path) {
  return *WorkingDirectory(std::filesystem::absolute(path).string());
}

// HOST, HOST:GUEST, either with :ro or :rw.
Status AddMount(const std::string& entry, std::vector<policy::MountSetting>& mounts) {
  std::vector<std::string> parts;
  std::stringstream text(entry);
  for (std::string part; std::getline(text, part, ':');) parts.push_back(part);
  const auto refuse = [&](const std::string& why) {
    return Error{
        fmt::format("--mount: {}: {}; write HOST, HOST:GUEST or HOST:GUEST:rw", entry, why)};
  };
  std::string mode = "ro";
  if (parts.size() > 1 && (parts.back() == "ro" || parts.back() == "rw")) {
    mode = parts.back();
    parts.pop_back();
  }
  if (parts.size() > 2) return refuse(fmt::format("\"{}\" is neither ro nor rw", parts.back()));
  if (parts.empty() || parts[0].empty()) return refuse("there is no directory");
  if (entry.ends_with(':')) return refuse("nothing stands behind the last colon");
  const std::string guest = parts.size() == 2 ? parts[1] : OwnPlace(parts[0]);
  auto mount = policy::ParseMount(parts[0], guest, mode);
  if (!mount) return refuse(mount.error().message);
  mounts.push_back(*std::move(mount));
  return Ok{};
}

Status AddLayer(const std::string& layer, std::vector<std::string>& layers) {
  static const std::set<std::string> kLayers = {"user", "nobody",   "net",     "mount",
                                                "pid",  "ipc",      "uts",     "cgroup",
                                                "root", "landlock", "seccomp", "memory-cgroup"};
  if (!kLayers.contains(layer)) {
    return Error{
        fmt::format("--require: there is no layer \"{}\"; see postern doctor (a module is imported "
                    "by the program)",
                    layer)};
  }
  layers.push_back(layer);
  return Ok{};
}

Status Merge(const Raw& raw, Settings& s) {
  policy::PolicyFile& p = s.policy;
  if (!raw.allow.empty() || raw.report) p.network.permission = true;
  if (raw.report) p.network.report = true;
  if (Status r = AddRules(raw.allow, true, p.network); !r) return r;
  if (Status r = AddRules(raw.deny, false, p.network); !r) return r;
  for (const std::string& secret : raw.secrets) {
    if (Status r = AddSecret(secret, p); !r) return r;
  }
  if (Status r = SetAdapter(raw.adapter, p.network.adapter); !r) return r;
  if (Status r = SetRunLimits(raw, p.limits); !r) return r;
  for (const std::string& entry : raw.env) {
    if (Status r = SetVariable(entry, p.env); !r) return r;
  }
  for (const std::string& entry : raw.mounts) {
    if (Status r = AddMount(entry, p.mounts); !r) return r;
  }
  for (const std::string& layer : raw.require) {
    if (Status r = AddLayer(layer, s.required_layers); !r) return r;
  }
  if (!raw.cwd.empty()) {
    s.cwd = OwnPlace(raw.cwd);
  }
  if (!raw.audit_log.empty()) p.audit_file = raw.audit_log;
  if (!raw.record.empty()) s.record_file = raw.record;
  return Ok{};
}

Status CheckExtension(const Settings& s) {
  if (s.extension.empty()) return Ok{};
  if (s.command == Settings::Command::kRun && s.target != "-")
    return Error{
        fmt::format("--ext is for code that is in no file; {} says what it is itself", s.target)};
  if (IsCodeExtension(s.extension)) return Ok{};
  return Error{fmt::format("--ext: \"{}\" is none of {}", s.extension, kCodeExtensions)};
}

// Everything that a run needs from disk and environment, before anything starts.
std::optional<UsageError> Load(const Raw& raw, Settings& s) {
  if (!raw.policy.empty()) {
    auto file = supervisor::LoadPolicyFile(raw.policy);
    if (!file) return UsageError{kExitBadInput, file.error().message};
    s.policy = *std::move(file);
  }
  if (Status merged = Merge(raw, s); !merged)
    return UsageError{kExitWrongUsage, merged.error().message};
  if (Status r = supervisor::LoadNamedFiles(s.policy); !r)
    return UsageError{kExitBadInput, r.error().message};
  if (Status r = supervisor::LoadSecrets(s.policy); !r)
    return UsageError{kExitBadInput, r.error().message};
  return std::nullopt;
}

}  // namespace

std::variant<Settings, UsageError> ParseCommandLine(int argc, char** argv) {
  Settings s;
  Raw raw;
  CLI::App app{
      "Runs JavaScript that nobody has vetted: no socket, no file, and every fetch answered or "
      "refused."};
  app.name("postern");
  app.require_subcommand(1);
  app.set_version_flag("--version", "postern " POSTERN_VERSION);
  CLI::App* run = app.add_subcommand("run", "Run the program FILE");
  run->add_option("FILE", raw.file,
                  "An ES module, CommonJS, TypeScript or JSX; - is standard input")
      ->required()
      ->type_name("");
  AddRunOptions(*run, raw, s);
  CLI::App* eval =
      app.add_subcommand("eval", "Run CODE and print what __return gave, or the last value");
  eval->add_option("CODE", raw.code, "A module's text, or an expression")
      ->required()
      ->type_name("");
  AddRunOptions(*eval, raw, s);
  for (CLI::App* command : {run, eval}) {
    // Those are never parsed: cli/words.h
    command->add_option("ARGS", raw.words, "The program's own: process.argv, from its third on")
        ->type_name("");
    command->footer(fmt::format("Examples:\n{}", kExamples));
    command->add_flag("--network-report", raw.report,
                      "Let through what the rules would deny, and print the policy that allows it");
    command
        ->add_option(
            "--grace", raw.grace,
            "How long a guest that listens for SIGTERM or SIGINT goes on after one (default 5s)")
        ->type_name("5s");
    command->add_flag("--json", s.json,
                      "Print one JSON object: outcome, output, usage, confinement");
    command
        ->add_option("--ext", s.extension,
                     "What the code of eval, or of -, is written in: js, mjs, cjs, ts, mts, cts, "
                     "tsx or jsx (default: as its text says)")
        ->type_name("EXT");
    command
        ->add_option("--server", s.server,
                     "Let a running postern serve run it: unix:PATH or http://IP:PORT")
        ->type_name("SERVER")
        ->envname("POSTERN_SERVER");
  }
  CLI::App* serve = app.add_subcommand(
      "serve", "Serve runs over HTTP until told to stop; the policy is what they can narrow");
  AddServeOptions(*serve, raw.serve, s.serve);
  AddRunOptions(*serve, raw, s);
  CLI::App* check = app.add_subcommand("check", "Check policy files (docs/policy.md)");
  check->add_option("POLICY", raw.words)->required()->type_name("");
  CLI::App* explain = app.add_subcommand(
      "explain",
      "Say what POLICY makes of a request, and by which rule; the network is not touched");
  explain->add_option("POLICY", raw.policy)->required()->type_name("");
  explain->add_option("METHOD", raw.method)->required()->type_name("");
  explain->add_option("URL", raw.url)->required()->type_name("");
  explain->add_flag("--json", s.json, "As JSON");
  CLI::App* doctor =
      app.add_subcommand("doctor", "Say which layers of confinement this machine gives");
  doctor->add_flag("--json", s.json, "As JSON");
  CLI::App* report = app.add_subcommand(
      "report", "Make an HTML page of a recording (HAR) or an audit log (JSON Lines)");
  report->add_option("FILE", raw.file)->required()->type_name("");
  report->add_option("--output,-o", s.output, "The page's file; - is standard output")
      ->type_name("FILE")
      ->required();
  CLI::App* manual = app.add_subcommand("manual", "Print the man page, for man -l -");
  CLI::App* completions =
      app.add_subcommand("completions", "Print the completions for SHELL: bash, zsh or fish");
  completions->add_option("SHELL", raw.shell)->required()->type_name("");
  // Last: a subcommand takes it over when it is added.
  app.footer(
      fmt::format("Examples:\n{}  postern serve --handler=app.mjs --listen=8080\n", kExamples));
  auto read = ReadWords({argv + 1, argv + argc}, app);
  if (!read) return UsageError{kExitWrongUsage, read.error().message};
  s.arguments = std::move(read->guest);
  if (!read->misplaced.empty()) {
    s.hint = fmt::format(
        "{} is the program's: options of postern stand before it (\"--\" between them says that "
        "this is meant)",
        read->misplaced);
  }
  std::vector<std::string> words(read->own.rbegin(), read->own.rend());  // as CLI11 takes them
  try {
    app.parse(words);
  } catch (const CLI::Success& e) {
    std::ostringstream text;
    app.exit(e, text, text);
    return UsageError{0, "", text.str()};
  } catch (const CLI::ParseError& e) {
    const auto parsed = app.get_subcommands();
    if (raw.url.empty() && raw.method.find("://") != std::string::npos)
      return UsageError{
          kExitWrongUsage,
          fmt::format("METHOD is required before the URL, as in: postern explain {} GET {}",
                      raw.policy, raw.method)};
    return UsageError{kExitWrongUsage,
                      fmt::format("{}; see postern {}--help", e.what(),
                                  parsed.empty() ? "" : fmt::format("{} ", parsed[0]->get_name()))};
  }
  if (manual->parsed()) {
    return UsageError{0, "", ManualPage(app)};
  }
  if (completions->parsed()) {
    const auto text = Completions(app, raw.shell);
    if (!text) {
      return UsageError{
          kExitWrongUsage,
          fmt::format("there are no completions for \"{}\"; there are some for bash, zsh and fish",
                      raw.shell)};
    }
    return UsageError{0, "", *text};
  }
  if (report->parsed()) {
    s.command = Settings::Command::kReport;
    s.target = raw.file;
    return s;
  }
  if (doctor->parsed()) {
    s.command = Settings::Command::kDoctor;
    return s;
  }
  if (check->parsed() || explain->parsed()) {
    s.command = check->parsed() ? Settings::Command::kCheck : Settings::Command::kExplain;
    s.target = raw.policy;
    s.arguments = raw.words;
    if (explain->parsed()) s.arguments = {raw.method, raw.url};
    return s;
  }
  s.command = run->parsed()     ? Settings::Command::kRun
              : serve->parsed() ? Settings::Command::kServe
                                : Settings::Command::kEval;
  s.target = run->parsed() ? raw.file : serve->parsed() ? s.serve.handler : raw.code;
  if (serve->parsed()) {
    if (Status read = ReadServeOptions(*serve, raw.serve, s.serve); !read)
      return UsageError{kExitWrongUsage, read.error().message};
  }
  if (Status known = CheckExtension(s); !known)
    return UsageError{kExitWrongUsage, known.error().message};
  if (auto refusal = Load(raw, s)) return *refusal;
  // Of a server each request has its own.
  if (const char* trace = std::getenv("TRACEPARENT");
      trace != nullptr && s.command != Settings::Command::kServe && policy::IsTraceParent(trace))
    s.policy.network.trace = trace;
  return s;
}

}  // namespace postern::cli
