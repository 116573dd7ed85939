// Layers: what confines this process, as `postern doctor` and the result JSON report it. A layer
// that the kernel or a container does not offer is reported, never pretended; seccomp is never
// optional.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/landlock.h"

namespace postern::sandbox {

struct Layers {
  std::vector<std::string> active;   // "nobody" (not root), "user", "net", "mount", "pid", "ipc",
                                     // "uts", "cgroup", "root", "landlock:ABI", "seccomp"
  std::vector<std::string> missing;  // "layer: reason"

  bool has(const std::string& layer) const {
    return std::find(active.begin(), active.end(), layer) != active.end();
  }
};

// EnterEmptyRoot where there is a mount namespace; reports the layer "root".
void TryEmptyRoot(Layers& layers);
// EnterLandlock where the kernel has it; reports the layer. Fails where it has it and refuses the
// rules.
Status TryLandlock(const LandlockRules& rules, Layers& layers);

}  // namespace postern::sandbox
