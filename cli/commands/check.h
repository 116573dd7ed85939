// `postern check` and `postern explain`: policies looked at without a guest and without a network.
#pragma once

#include "cli/settings.h"

namespace postern::cli {

// Prints a line a file. 0 where all are right, else 3.
int CheckPolicies(const Settings& settings);

// Prints the decision and its rule. 0 where the request is allowed, 1 where it is denied, 2 and 3
// for a wrong URL or method and a bad policy.
int ExplainPolicy(const Settings& settings);

}  // namespace postern::cli
