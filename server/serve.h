// What `postern serve` does: a server that starts guests all day, until it is told to stop.
#pragma once

#include <functional>

#include "base/result.h"
#include "server/serve_options.h"

namespace postern::server {

// Serves until SIGTERM or SIGINT, which let what runs end first. Returns the exit status. `reload`
// reads command line and policy again, for SIGHUP.
int Serve(const ServeOptions& options, const std::function<Result<ServeOptions>()>& reload);

}  // namespace postern::server
