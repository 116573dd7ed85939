// Settings: what a command line and a policy file together ask for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "policy/file/policy_file.h"

namespace postern::supervisor {

// Of `postern serve`. Milliseconds.
struct ServeSettings {
  std::string socket, listen, admin_listen, token_file;
  size_t spares = 2;               // kept ready for each caller
  size_t runs = 0;                 // at a time; 0: four for each processor
  std::optional<size_t> queue;     // runs or requests that may wait; more are refused
  std::string handler;             // a module whose `fetch` answers what comes at `listen`
  size_t guests = 0;               // that answer; 0: one for each processor
  size_t guest_requests = 10'000;  // that a guest answers until another takes its place
  size_t concurrency = 64;         // requests that a guest has at a time
  int64_t handler_timeout = 30'000;
  int64_t queue_timeout = 30'000;
  int64_t request_timeout = 30'000;  // for a request to arrive in
  int64_t drain_timeout = 25'000;    // from SIGTERM until what still runs is ended
};

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
  ServeSettings serve;
};

inline constexpr int kWrongUsage = 2, kBadInput = 3;
// What is said cannot be written: nobody reads it any more (as if SIGPIPE had ended us), or a disk
// is full.
inline constexpr int kNobodyReads = 141, kCannotWrite = 4;

// What stops a command before it starts: a message, and the exit status that goes with it (2 wrong
// usage, 3 bad input), or output and 0.
struct UsageError {
  int exit_status = kWrongUsage;
  std::string message;
  std::string output = {};  // what was asked for, for stdout: --help, a man page
};

// Reads the command line and the policy file that it names.
std::variant<Settings, UsageError> ParseCommandLine(int argc, char** argv);

}  // namespace postern::supervisor
