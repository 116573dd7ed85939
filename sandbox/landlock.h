// Landlock (landlock(7)): a process gives up files, TCP and scopes for good, as far as the running
// kernel's ABI goes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"

namespace postern::sandbox {

struct LandlockRules {
  std::vector<int> readable;  // open directories or files that stay readable, with what is beneath
  bool tcp_connect = false;   // leave connect(2) over TCP alone (needs ABI 4 to forbid)
};

// The kernel's Landlock ABI, 0 where there is none.
int LandlockAbi();

// Enters the domain. Needs no_new_privs. Returns the ABI that was used; an error where the kernel
// has no Landlock (the caller reports the layer as missing).
Result<int> EnterLandlock(const LandlockRules& rules);

}  // namespace postern::sandbox
