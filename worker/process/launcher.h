// Launcher: makes the enclosure that a zygote and all its guests live in, and starts the zygote.
//
// Order matters (docs/design.md): namespaces and id maps while /proc can still be written, then the
// empty root, then the program's start, then what cannot be undone: Landlock, not dumpable, no
// capabilities, seccomp.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "worker/process/guest_program.h"
#include "worker/process/zygote.h"

namespace postern::worker {

// Starts the program, inside the enclosure, before any fork. An error is what to tell the
// supervisor.
using StartProgram =
    std::function<Result<std::unique_ptr<GuestProgram>>(const ZygoteOptions& options)>;

// As a program's main(): reads the options behind "--postern-worker", encloses this process, starts
// the program, serves the supervisor until it is gone, and leaves by _exit.
[[noreturn]] void WorkerMain(int argc, char** argv, const StartProgram& start);

}  // namespace postern::worker
