// The command line, with the policy file that it names.
#pragma once

#include <string>
#include <variant>

#include "base/exit_status.h"
#include "cli/settings.h"

namespace postern::cli {

// What stops a command before it starts: a message, and the exit status that goes with it (wrong
// usage, bad input), or output and 0.
struct UsageError {
  int exit_status = kExitWrongUsage;
  std::string message;
  std::string output = {};  // what was asked for, for stdout: --help, a man page
};

// Reads the command line and the policy file that it names.
std::variant<Settings, UsageError> ParseCommandLine(int argc, char** argv);

}  // namespace postern::cli
