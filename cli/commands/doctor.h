// `postern doctor`: what confines a guest on this machine.
#pragma once

#include "cli/settings.h"

namespace postern::cli {

// Prints it. 0, or 125 where it cannot be found out.
int Doctor(const Settings& settings);

}  // namespace postern::cli
