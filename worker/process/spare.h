// Spare: a forked, locked-down, warmed process that waits for its order and then is a guest.
#pragma once

#include <vector>

#include "base/unique_fd.h"
#include "worker/process/guest_program.h"
#include "worker/process/zygote.h"

namespace postern::worker {

// In the child of a zygote's fork: `fds` become descriptors 0, 1, 2, … (spare_fds.h), all others
// are closed, the process locks itself down, warms up unless its order comes at once, and waits.
[[noreturn]] void BecomeSpare(GuestProgram& program, const ZygoteOptions& options,
                              std::vector<UniqueFd> fds, bool warm);

}  // namespace postern::worker
