// What `postern run` and `postern eval` do: one worker, one guest, from the command line to the
// outcome.
#pragma once

#include "run_api/outcome.h"
#include "supervisor/settings.h"

namespace postern::supervisor {

// Runs to the end; nothing that it started is left when it returns.
run_api::Outcome RunGuest(const Settings& settings);

}  // namespace postern::supervisor
