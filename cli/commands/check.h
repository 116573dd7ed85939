// `postern check`: policies looked at without a guest and without a network.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/settings.h"

namespace postern::cli {

// A policy with the files that it names, and without its secrets' values, which need not be here
// where it is only looked at.
Result<policy::PolicyFile> LoadToLookAt(const std::string& path);

// Prints a line a file. 0 where all are right, else 3.
int CheckPolicies(const Settings& settings);

}  // namespace postern::cli
