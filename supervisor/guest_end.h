// GuestEnd: how a guest's process ended, and what that means for its run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "run_api/outcome.h"

namespace postern::supervisor {

struct GuestEnd {
  int wait_status = 0;                   // wait4(2)
  std::optional<std::string> no_result;  // why there is no complete one; the outcome has it else
  bool debug_seccomp = false;            // forbidden calls were named and ended it themselves
  bool killed_in_cgroup = false;         // its memory cgroup had a process killed
  int64_t memory = 0;                    // bytes: its limit (--memory)
  int64_t cgroup_memory = 0;             // bytes: its cgroup's
};

// Completes `outcome`, which has what the guest itself said of its end.
void ClassifyEnd(const GuestEnd& end, run_api::Outcome& outcome);

}  // namespace postern::supervisor
