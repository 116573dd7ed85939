// Run: one guest from its start to its outcome: the worker, its brokers, the limits, the pipes.
#pragma once

#include "supervisor/outcome.h"
#include "supervisor/settings.h"

namespace postern::supervisor {

// Runs to the end; nothing that it started is left when it returns.
Outcome RunGuest(const Settings& settings);

}  // namespace postern::supervisor
