// Start: what every program that the user starts does first.
#pragma once

#include <variant>

#include "cli/settings.h"

namespace postern::cli {

// Gives up privileges, reads the command line, and locks this process down as far as a supervisor
// can be; or the exit status, where that ends here and the reason has been printed.
std::variant<Settings, int> Start(int argc, char** argv);

}  // namespace postern::cli
