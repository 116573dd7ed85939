// LaunchGuest: one run in a warm spare of a pool, from asking for the spare to the end of its
// process: what the run service and the handler pool have in common.
#pragma once

#include <functional>
#include <memory>

#include "supervisor/run.h"
#include "supervisor/spare_pool.h"

namespace postern::supervisor {

struct GuestLaunch {
  std::shared_ptr<SparePool>
      spares;                        // held by whoever launches: a run does not keep its pool alive
  std::shared_ptr<const void> keep;  // what the run needs until its process is gone; may be null
  std::function<void()> spawned;     // it has a spare, and starts; may be empty
  std::function<void()> gone;        // its process is, or there was none; may be empty
};

// All of it happens later, from the loop. `done` is Run's.
std::shared_ptr<Run> LaunchGuest(const Run::RunEnvironment& environment, Run::Job job,
                                 std::function<void(run_api::Outcome)> done, GuestLaunch launch);

}  // namespace postern::supervisor
