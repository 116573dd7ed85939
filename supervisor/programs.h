// The programs that the supervisor starts, and with which arguments.
#pragma once

#include <vector>

#include "supervisor/child_process.h"
#include "supervisor/program_source.h"
#include "supervisor/settings.h"

namespace postern::supervisor {

// The executable of `postern serve`.
std::string ServerProgram();
ChildProcess::Program WorkerProgram(const Settings& settings);
ChildProcess::Program NetBrokerProgram(const Settings& settings);
ChildProcess::Program FilesBrokerProgram(const Settings& settings,
                                         const std::vector<OpenMount>& mounts);
// Without the files that it writes to (LogLink gives those).
ChildProcess::Program LogProgram(const Settings& settings);

}  // namespace postern::supervisor
