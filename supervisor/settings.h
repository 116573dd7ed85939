// Settings: what a command line and a policy file together ask for.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "policy/policy_file.h"

namespace postern::supervisor {

struct MountSetting {
  std::string host, guest;
};

struct Settings {
  enum class Command { kRun, kEval, kDoctor } command = Command::kRun;
  std::string target;  // FILE of run, CODE of eval
  std::vector<std::string> arguments;
  policy::PolicyFile policy;  // flags merged in
  std::vector<MountSetting> mounts;
  std::optional<std::string> cwd;
  std::vector<std::string> required_layers;
  bool jitless = false;
  bool json = false;
  bool debug_seccomp = false;
};

// What stops a command before it starts: a message, and the exit status that goes with it (2 wrong
// usage, 3 bad input, 0 after --help).
struct Refusal {
  int exit_status = 2;
  std::string message;
};

// Reads the command line and the policy file that it names.
std::variant<Settings, Refusal> ParseCommandLine(int argc, char** argv);

}  // namespace postern::supervisor
