// What `postern run` and `postern eval` do: one worker, one guest, from the command line to the
// outcome.
#pragma once

#include "cli/settings.h"
#include "run_api/outcome.h"

namespace postern::cli {

// Runs to the end; nothing that it started is left when it returns.
run_api::Outcome RunGuest(const Settings& settings);

}  // namespace postern::cli
