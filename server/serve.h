// What `postern serve` does: a server that starts guests all day, until it is told to stop.
#pragma once

#include <functional>
#include <variant>

#include "supervisor/settings.h"

namespace postern::server {

// Serves until SIGTERM or SIGINT, which let what runs end first. Returns the exit status. `reload`
// reads command line and policy again, for SIGHUP.
int Serve(
    const supervisor::Settings& settings,
    const std::function<std::variant<supervisor::Settings, supervisor::UsageError>()>& reload);

}  // namespace postern::server
