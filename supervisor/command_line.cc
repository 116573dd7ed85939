#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include "policy/units.h"
#include "supervisor/settings.h"

namespace postern::supervisor {
namespace {

constexpr int kWrongUsage = 2, kBadInput = 3;

// Options that stand alone; any other takes a value, after '=' or as the next word.
const std::set<std::string> kFlags = {"--allow-net",     "--json", "--jitless",
                                      "--debug-seccomp", "--help", "-h"};

// Everything after FILE or CODE belongs to the guest, options included.
std::vector<std::string> SplitGuestArguments(std::vector<std::string>& words) {
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "--") {
      words.erase(words.begin() + static_cast<ptrdiff_t>(i));
    } else if (words[i].starts_with("-") && words[i] != "-") {
      if (words[i] == "--allow-net")
        words[i] = "--allow-net=*";
      else if (words[i].find('=') == std::string::npos && !kFlags.contains(words[i]))
        ++i;
      continue;
    }
    if (i >= words.size()) return {};
    std::vector<std::string> rest(words.begin() + static_cast<ptrdiff_t>(i) + 1, words.end());
    words.resize(i + 1);
    return rest;
  }
  return {};
}

// What CLI11 would misread: a command that does not exist, and "--option=" without a value.
std::optional<Refusal> CheckWords(const std::vector<std::string>& words) {
  static const std::set<std::string> kCommands = {"run", "eval", "doctor"};
  if (!words.empty() && !words[0].starts_with("-") && !kCommands.contains(words[0])) {
    return Refusal{kWrongUsage, "there is no command \"" + words[0] +
                                    "\"; the commands are run, eval and doctor"};
  }
  for (const std::string& word : words) {
    if (word.starts_with("--") && word.ends_with("=") && word.find('=') == word.size() - 1) {
      return Refusal{kWrongUsage, word + " has no value; see postern --help"};
    }
  }
  return std::nullopt;
}

struct Raw {
  std::string file, code, policy, adapter, timeout, cpu, memory;
  std::vector<std::string> allow, deny, env, mounts;
  std::string cwd;
  std::vector<std::string> require;
};

void AddRunOptions(CLI::App& app, Raw& raw, Settings& s) {
  app.add_option("--allow-net", raw.allow,
                 "Grant the network, for RULE[,RULE…] only; without a rule: any public address")
      ->delimiter(',')
      ->type_name("[RULE,…]");
  app.add_option("--deny-net", raw.deny, "Refuse RULE[,RULE…]; wins over every allow")
      ->delimiter(',')
      ->type_name("RULE,…");
  app.add_option("--adapter", raw.adapter, "What performs a permitted request: none or direct")
      ->type_name("NAME");
  app.add_option("--policy", raw.policy, "Policy file (docs/policy.md); flags win over it")
      ->type_name("FILE");
  app.add_option("--env", raw.env, "Give the guest a variable, with this or its present value")
      ->type_name("NAME[=VALUE]");
  app.add_option("--mount", raw.mounts, "Let the guest read a directory")->type_name("HOST:GUEST");
  app.add_option("--cwd", raw.cwd, "What process.cwd() says in the guest")->type_name("DIR");
  app.add_option("--timeout", raw.timeout, "Wall-clock limit of the run")->type_name("5s");
  app.add_option("--cpu", raw.cpu, "CPU time limit of the run")->type_name("5s");
  app.add_option("--memory", raw.memory, "Memory limit of the guest")->type_name("128MiB");
  app.add_option("--require", raw.require,
                 "Refuse to run without these layers (see postern doctor)")
      ->delimiter(',')
      ->type_name("LAYER,…");
  app.add_flag("--jitless", s.jitless,
               "No machine code is generated: slower, and no executable memory at all");
  app.add_flag("--json", s.json, "Print one JSON object: outcome, output, usage, confinement");
  app.add_flag("--debug-seccomp", s.debug_seccomp,
               "Name a forbidden system call on stderr (for developers)");
}

Status AddRules(const std::vector<std::string>& texts, bool allow, policy::Policy& p) {
  for (const std::string& text : texts) {
    auto target = policy::Target::Parse(text);
    if (!target) return target.error();
    p.rules.push_back({.allow = allow,
                       .text = text,
                       .origin = allow ? "--allow-net" : "--deny-net",
                       .target = *target});
  }
  return Ok{};
}

Status ReadLimit(const std::string& flag, const std::string& text, bool duration, int64_t& to,
                 int64_t least) {
  if (text.empty()) return Ok{};
  const auto value = duration ? policy::ParseDuration(text) : policy::ParseBytes(text);
  if (!value) return Error{flag + ": " + value.error().message};
  if (*value < least) return Error{flag + ": " + text + " is too little"};
  to = *value;
  return Ok{};
}

constexpr int64_t kLeastMemory = 16LL << 20;  // V8 with the runtime loaded needs as much

Status Merge(const Raw& raw, Settings& s) {
  policy::PolicyFile& p = s.policy;
  if (!raw.allow.empty()) p.network.permission = true;
  if (Status r = AddRules(raw.allow, true, p.network); !r) return r;
  if (Status r = AddRules(raw.deny, false, p.network); !r) return r;
  if (raw.adapter == "none")
    p.network.adapter = policy::AdapterKind::kNone;
  else if (raw.adapter == "direct")
    p.network.adapter = policy::AdapterKind::kDirect;
  else if (!raw.adapter.empty())
    return Error{"--adapter: \"" + raw.adapter + "\" is none of: none, direct"};
  if (Status r = ReadLimit("--timeout", raw.timeout, true, p.limits.wall, 1); !r) return r;
  if (Status r = ReadLimit("--cpu", raw.cpu, true, p.limits.cpu, 1); !r) return r;
  if (Status r = ReadLimit("--memory", raw.memory, false, p.limits.memory, kLeastMemory); !r)
    return r;
  for (const std::string& entry : raw.env) {
    const size_t eq = entry.find('=');
    const std::string name = entry.substr(0, eq);
    if (name.empty()) return Error{"--env: \"" + entry + "\" has no name"};
    if (eq != std::string::npos) {
      p.env[name] = entry.substr(eq + 1);
    } else if (const char* value = std::getenv(name.c_str())) {
      p.env[name] = value;
    } else {
      return Error{"--env: " + name + " is not set here; give it a value: --env=" + name +
                   "=VALUE"};
    }
  }
  for (const std::string& entry : raw.mounts) {
    const size_t colon = entry.find(':');
    std::string guest = colon == std::string::npos ? "" : entry.substr(colon + 1);
    if (guest.ends_with(":rw"))
      return Error{"--mount: " + entry + ": writable mounts are not available; leave out :rw"};
    while (guest.size() > 1 && guest.ends_with('/')) guest.pop_back();
    if (colon == 0 || !guest.starts_with('/'))
      return Error{"--mount: \"" + entry + "\" is not HOST:GUEST with an absolute GUEST"};
    s.mounts.push_back({entry.substr(0, colon), guest == "/" ? "" : guest});
  }
  if (!raw.cwd.empty()) s.cwd = raw.cwd;
  static const std::set<std::string> kLayers = {"user", "net",    "mount", "pid",      "ipc",
                                                "uts",  "cgroup", "root",  "landlock", "seccomp"};
  for (const std::string& layer : raw.require) {
    if (!kLayers.contains(layer))
      return Error{"--require: there is no layer \"" + layer + "\"; see postern doctor"};
    s.required_layers.push_back(layer);
  }
  return Ok{};
}

std::optional<Refusal> ReadPolicy(const std::string& path, Settings& s) {
  if (path.empty()) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file) return Refusal{kBadInput, SystemError("cannot read the policy " + path).message};
  auto parsed = policy::ParsePolicyFile(text, path);
  if (!parsed) return Refusal{kBadInput, parsed.error().message};
  s.policy = *std::move(parsed);
  return std::nullopt;
}

}  // namespace

std::variant<Settings, Refusal> ParseCommandLine(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  Settings s;
  s.arguments = SplitGuestArguments(words);
  if (auto refusal = CheckWords(words)) return *refusal;
  Raw raw;
  CLI::App app{
      "Runs JavaScript that nobody has vetted: no socket, no file, and every fetch answered or "
      "refused."};
  app.name("postern");
  app.require_subcommand(1);
  app.set_version_flag("--version", "postern 0.1.0");
  CLI::App* run =
      app.add_subcommand("run", "Run the ES module FILE (- reads stdin); ARGS go to process.argv");
  run->add_option("FILE", raw.file)->required()->type_name("");
  AddRunOptions(*run, raw, s);
  CLI::App* eval =
      app.add_subcommand("eval", "Run CODE and print what __return gave, or the last value");
  eval->add_option("CODE", raw.code)->required()->type_name("");
  AddRunOptions(*eval, raw, s);
  CLI::App* doctor =
      app.add_subcommand("doctor", "Say which layers of confinement this machine gives");
  doctor->add_flag("--json", s.json, "As JSON");
  std::reverse(words.begin(), words.end());  // as CLI11 takes them
  try {
    app.parse(words);
  } catch (const CLI::Success& e) {
    app.exit(e);
    return Refusal{0, ""};
  } catch (const CLI::ParseError& e) {
    return Refusal{kWrongUsage, std::string(e.what()) + "; see postern --help"};
  }
  if (doctor->parsed()) {
    s.command = Settings::Command::kDoctor;
    return s;
  }
  s.command = run->parsed() ? Settings::Command::kRun : Settings::Command::kEval;
  s.target = run->parsed() ? raw.file : raw.code;
  if (auto refusal = ReadPolicy(raw.policy, s)) return *refusal;
  if (Status merged = Merge(raw, s); !merged) return Refusal{kWrongUsage, merged.error().message};
  return s;
}

}  // namespace postern::supervisor
