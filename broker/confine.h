// A broker's confinement, by role, as docs/design.md's table says.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/landlock.h"
#include "sandbox/seccomp.h"

namespace postern::broker {

enum class Role { kNet, kFiles };

// What came of it, for `postern doctor`, as JSON: {"on": [...], "missing": ["layer: reason"]}.
struct Layers {
  std::vector<std::string> on, missing;
  std::string ToJson() const;
};

// First half: namespaces, before anything else is opened; returns in the child (see
// ContinueAsPid1).
Status EnterRoleNamespaces(Role role, Layers& layers);
// Second half, with everything read that will be needed: empty root, Landlock, capabilities,
// limits, seccomp. `keep`: descriptors to keep besides 0 to 2; `readable`: directories that stay
// readable.
Status LockDown(Role role, const std::vector<int>& keep, const sandbox::LandlockRules& landlock,
                sandbox::SeccompMode mode, Layers& layers);

}  // namespace postern::broker
