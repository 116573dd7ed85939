// ServeOptions: what a command line and a policy file together ask of `postern serve`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/file/policy_file.h"
#include "supervisor/log_link.h"
#include "supervisor/program_source.h"
#include "supervisor/programs.h"

namespace postern::server {

// Milliseconds, where nothing else is said.
struct ServeOptions {
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

  policy::PolicyFile policy;           // flags merged in
  supervisor::ProgramOptions program;  // the handler's
  supervisor::ProcessOptions processes;
  supervisor::LogOptions log;
  std::vector<std::string> required_layers;
};

}  // namespace postern::server
