// Settings: what a command line and a policy file together ask for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/file/policy_file.h"
#include "server/serve_options.h"
#include "supervisor/log_link.h"
#include "supervisor/program_source.h"
#include "supervisor/programs.h"

namespace postern::cli {

struct Settings {
  enum class Command {
    kRun,
    kEval,
    kServe,
    kCheck,
    kExplain,
    kDoctor,
    kReport
  } command = Command::kRun;
  std::string target;                  // FILE of run and report, CODE of eval
  std::vector<std::string> arguments;  // of the guest; POLICY… of check; METHOD and URL of explain
  policy::PolicyFile policy;           // flags merged in
  std::string extension;  // of code that is in no file: "ts"; "" where its text says what it is
  std::optional<std::string> cwd;
  std::vector<std::string> required_layers;
  std::optional<std::string> record_file;  // HAR
  std::string server;                      // that runs it, or empty
  bool verbose = false;
  bool jitless = false;
  bool json = false;
  bool debug_seccomp = false;
  std::string output;  // of report: a file, or "-"
  std::string hint;    // what the command line may not have meant, for people
  server::ServeOptions serve;

  supervisor::ProgramOptions Program() const {
    return {command == Command::kEval, target, arguments, extension, cwd, json};
  }
  supervisor::ProcessOptions Processes() const { return {jitless, debug_seccomp}; }
  supervisor::LogOptions Log() const { return {record_file, verbose}; }
};

}  // namespace postern::cli
