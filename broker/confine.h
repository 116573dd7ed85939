// A broker's confinement, by role, as docs/design.md's table says.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/layers.h"
#include "sandbox/seccomp.h"

namespace postern::broker {

enum class BrokerRole { kNet, kFiles, kLog };

// First half: namespaces, before anything else is opened; returns in the child (see
// ContinueAsPid1).
Status EnterRoleNamespaces(BrokerRole role, sandbox::Layers& layers);
// Second half, with everything read that will be needed: empty root, Landlock, capabilities,
// limits, seccomp. `keep`: descriptors to keep besides 0 to 2; `readable`: directories that stay
// readable.
Status LockDown(BrokerRole role, const std::vector<int>& keep,
                const sandbox::LandlockRules& landlock, sandbox::SeccompMode mode,
                sandbox::Layers& layers);

}  // namespace postern::broker
