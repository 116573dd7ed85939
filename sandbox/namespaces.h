// Namespaces and the empty root: what a process can name at all.
//
// Made once by the launcher (worker) or by a broker, inherited by every child: they cost a guest
// nothing. Each layer that the kernel or a surrounding container refuses is left off and reported,
// never pretended.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/layers.h"

namespace postern::sandbox {

// Who a process is, outside its user namespace.
enum class Identity {
  kNobody,  // root first becomes nobody (65534): a guest is never the machine's root, not even
            // outside
  kKeep,    // stays who started it, so that files readable to that user are readable; no capability
            // remains
};

// Unshares user (and maps the one id) and each of `layers`. Without a user namespace the others
// need privileges and are reported as missing.
Result<Layers> EnterNamespaces(const std::vector<std::string>& layers, Identity identity);

// After EnterNamespaces with "pid": returns in a forked child, PID 1 of the new pid namespace, that
// dies with its parent. The parent never returns: it keeps nothing open, confines itself
// ("launcher" policy), waits for the child and ends as it did (128 + signal where a signal ended
// it).
Status ContinueAsPid1();

// Makes an empty read-only tmpfs the root. Needs the mount namespace.
// Lost without it: Landlock and seccomp still forbid opening files.
Status EnterEmptyRoot();

// Refuses unless this network namespace has no address, no route and no interface that is up
// (asked over netlink with libnl).
Status CheckNetworkIsEmpty();

}  // namespace postern::sandbox
