// Narrowing: what one run asks for, below what a server's policy allows. It can only take away.
#pragma once

#include "policy/file/policy_file.h"

namespace postern::policy {

// The policy of a run that asked for `asked` under `ceiling`, parsed with `ceiling` as its base.
// Permission, rules and limits are those of both: a request needs to be allowed by both, and what a
// rule leaves out (scheme, port, methods, paths) is the ceiling's. What belongs to the ceiling
// alone (adapter but for "none", secrets, headers, addresses, TLS, DNS, audit log, mounts) and what
// goes beyond it is refused with a sentence.
Result<PolicyFile> Narrow(const PolicyFile& ceiling, const PolicyFile& asked);
// The same for a run that asked for limits only.
Result<PolicyFile> NarrowLimits(const PolicyFile& ceiling, const PolicyFile& asked);

}  // namespace postern::policy
