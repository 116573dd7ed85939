// Landlock (landlock(7)): a process gives up files, TCP and scopes for good, as far as the running
// kernel's ABI goes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"

namespace postern::sandbox {

struct LandlockRules {
  std::vector<int> readable;  // open directories or files that stay readable, with what is beneath
  std::vector<int>
      writable;  // open directories in which files are also made, written, moved and removed
  // TCP ports that connect(2) may go to; nullopt leaves connect alone (forbidding needs ABI 4).
  std::optional<std::vector<uint16_t>> connect_ports = std::vector<uint16_t>{};
};

// The kernel's Landlock ABI, 0 where there is none.
int LandlockAbi();

// Enters the domain. Needs no_new_privs. Returns the ABI that was used; an error where the kernel
// has no Landlock (the caller reports the layer as missing).
Result<int> EnterLandlock(const LandlockRules& rules);

}  // namespace postern::sandbox
