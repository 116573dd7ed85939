// `postern explain`: what a policy makes of a request.
#pragma once

#include "cli/settings.h"

namespace postern::cli {

// Prints the decision and its rule. 0 where the request is allowed, 1 where it is denied, 2 and 3
// for a wrong URL or method and a bad policy.
int ExplainPolicy(const Settings& settings);

}  // namespace postern::cli
