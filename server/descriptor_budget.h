// DescriptorBudget: what a server shares out of the descriptors that it may have (RLIMIT_NOFILE).
// Whatever takes some has its part, and is refused at its door beyond that: a guest's pipes find
// room however many clients there are.
#pragma once

#include <cstddef>

#include "base/result.h"

namespace postern::server {

struct DescriptorBudget {
  // What is wanted.
  struct Wanted {
    size_t runs = 0;            // at a time
    size_t spares = 0;          // idle, of each caller
    size_t callers = 0;         // that have spares at a time
    size_t handler_guests = 0;  // processes of a handler, with those that have only to end
    size_t connections = 0;     // at each of the run API's doors
    size_t handler_connections = 0;
  };

  size_t granted = 0;  // all that there are
  size_t runs = 0, callers = 0, handler_guests = 0, connections = 0, handler_connections = 0;
  size_t mounts = 0;  // directories that came with requests, of all runs together

  // An error where there are too few to serve at all.
  static Result<DescriptorBudget> Share(size_t granted, const Wanted& wanted);
};

// The soft limit becomes as high as the hard one; what that is.
size_t RaiseDescriptorLimit();

}  // namespace postern::server
