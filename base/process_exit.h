// ProcessExit: how a child process ended, as wait4(2) tells.
#pragma once

#include <cstdint>

namespace postern {

struct ProcessExit {
  bool lost = false;  // whoever could have said how has died: nothing else is known
  int wait_status = 0;
  int64_t peak_kib = 0, cpu_us = 0;
};

}  // namespace postern
