// GuestProgram: what a spare runs once it is locked down. Postern's is V8 (v8_program.h); a test
// puts hostile machine code in its place, with the same descriptors, namespaces, filters and
// limits.
#pragma once

#include "channel/guest_order.h"

namespace postern::worker {

class GuestProgram {
 public:
  virtual ~GuestProgram() = default;
  // Touches what every run will touch, so that a spare has its own copies of those pages.
  virtual void Warm() = 0;
  // Runs to the end and leaves the process; the result is on the result pipe.
  [[noreturn]] virtual void Run(channel::GuestOrder order) = 0;
};

}  // namespace postern::worker
