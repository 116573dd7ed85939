// Start: what every program that the user starts does first.
#pragma once

#include <variant>

#include "supervisor/settings.h"

namespace postern::supervisor {

// Gives up privileges, reads the command line, and locks this process down as far as a supervisor
// can be; or the exit status, where that ends here and the reason has been printed.
std::variant<Settings, int> Start(int argc, char** argv);

}  // namespace postern::supervisor
