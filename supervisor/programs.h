// The programs that the supervisor starts, and with which arguments.
#pragma once

#include <string>
#include <vector>

#include "policy/file/policy_file.h"
#include "supervisor/child_process.h"
#include "supervisor/program_source.h"

namespace postern::supervisor {

// How all of them are started.
struct ProcessOptions {
  bool jitless = false;        // guests have no just-in-time compiler
  bool debug_seccomp = false;  // a forbidden system call is told on stderr before it ends a process
};

// The executable of `postern serve`.
std::string ServerProgram();
ChildProcess::Program WorkerProgram(const ProcessOptions& options);
// `records`: what goes over it is recorded.
ChildProcess::Program NetBrokerProgram(const ProcessOptions& options,
                                       const policy::PolicyFile& policy, bool records);
ChildProcess::Program FilesBrokerProgram(const ProcessOptions& options,
                                         const std::vector<OpenMount>& mounts);
// Without the files that it writes to (LogLink gives those).
ChildProcess::Program LogProgram(const ProcessOptions& options);

}  // namespace postern::supervisor
