// `postern run --server=…`: the run is another process's: this one sends what to run and passes on
// what comes back.
#pragma once

#include <string>

#include "cli/settings.h"

namespace postern::cli {

struct RemoteResult {
  int exit_status = 0;
  std::string json;     // the outcome, with --json
  std::string message;  // for people, on stderr
};

// Runs to the end. Over a Unix socket to a server of the same user the module's directory and
// mounts go with the request, as descriptors; elsewhere a module can import nothing from disk.
RemoteResult RunRemotely(const Settings& settings);

}  // namespace postern::cli
