// What every confined process does to itself first: die with its parent, gain no privileges, leave
// no core, answer no debugger.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace postern::sandbox {

// Arms PR_SET_PDEATHSIG with SIGKILL. The kernel clears it on any credential change, so call it
// after the last one; then check once that the parent still lives (the control socket is at EOF
// otherwise), which closes the race.
Status DieWithParent();

// no_new_privs: a set-user-id program gives nothing to this process or its children.
Status GainNoPrivileges();

// no_new_privs, RLIMIT_CORE 0, not dumpable (no ptrace, no /proc/PID by others).
// A process that still has to write its uid_map must call it afterwards.
Status Harden();

// No transparent huge pages and no merging of equal pages (KSM), here and in all children: by
// either, one process can tell from timings what lies in another's memory.
Status KeepMemoryApart();

// Turns off what the processor guesses across branches and stores (speculative store bypass,
// indirect branch speculation), for good and in all children, where the kernel leaves that to a
// process (prctl(2), PR_SET_SPECULATION_CTRL). Where it does not, it has decided for all.
Status LimitSpeculation();

// Gives up every capability, in the bounding and ambient sets too.
Status DropCapabilities();

// Sets soft and hard limit of `resource` (RLIMIT_*) to `value`; where the hard limit is lower
// already, it stays: nothing here raises a limit. One call, prlimit64 without an old value.
Status LimitTo(int resource, uint64_t value);

// Closes every descriptor above 2 that is not in `keep`.
Status CloseAllBut(std::vector<int> keep);

// Descriptors open in this process, read from /proc/self/fd; needs /proc.
Result<std::vector<int>> OpenDescriptors();

}  // namespace postern::sandbox
