// Zygote: V8 started, runtime loaded, context made; forks spares on the supervisor's order and
// reaps what they became.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "sandbox/seccomp.h"
#include "worker/process/guest_program.h"

namespace postern::worker {

struct ZygoteOptions {
  int control = 3;  // the socket to the supervisor
  bool jitless = false;
  sandbox::SeccompMode seccomp = sandbox::SeccompMode::kKill;
  // VmData and VmSize of this process: what a guest's RLIMIT_DATA and RLIMIT_AS stand on.
  uint64_t data_bytes = 0, address_bytes = 0;
};

// Serves until the supervisor is gone. In a spare it never returns.
Status ServeZygote(GuestProgram& program, const ZygoteOptions& options);

}  // namespace postern::worker
