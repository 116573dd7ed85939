// ProcessExit: how a child process ended, as wait4(2) tells.
#pragma once

#include <cstdint>

namespace postern {

struct ProcessExit {
  bool lost = false;  // whoever could have said how has died: nothing else is known
  int wait_status = 0;
  int64_t peak_kib = 0;  // resident memory
  int64_t cpu_us = 0;

  bool operator==(const ProcessExit&) const = default;
};

}  // namespace postern
