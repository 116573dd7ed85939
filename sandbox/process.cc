#include "sandbox/process.h"

#include <dirent.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "sandbox/layer_switch.h"

namespace postern::sandbox {

Status DieWithParent() {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return SystemError("cannot arm PDEATHSIG");
  return Ok{};
}

Status GainNoPrivileges() {
  if (!LayerWanted("no_new_privs")) return Ok{};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return SystemError("cannot set no_new_privs");
  return Ok{};
}

Status Harden() {
  if (Status s = GainNoPrivileges(); !s) return s;
  if (Status core = LimitTo(RLIMIT_CORE, 0); !core) return core;
  if (LayerWanted("dumpable") && ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    return SystemError("cannot clear dumpable");
  return Ok{};
}

Status KeepMemoryApart() {
  if (::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
    return SystemError("cannot turn off huge pages");
  constexpr int kSetMemoryMerge = 67;  // PR_SET_MEMORY_MERGE, Linux 6.4; before it nothing merges
  if (::prctl(kSetMemoryMerge, 0, 0, 0, 0) != 0 && errno != EINVAL)
    return SystemError("cannot turn off the merging of memory");
  return Ok{};
}

Status LimitSpeculation() {
  for (const auto what : {PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH}) {
    const int state = ::prctl(PR_GET_SPECULATION_CTRL, what, 0, 0, 0);
    const bool ours = state >= 0 && (state & PR_SPEC_PRCTL) != 0;
    if (!ours || (state & PR_SPEC_FORCE_DISABLE) != 0) continue;
    if (::prctl(PR_SET_SPECULATION_CTRL, what, PR_SPEC_FORCE_DISABLE, 0, 0) != 0)
      return SystemError("cannot turn off speculation");
  }
  return Ok{};
}

Status DropCapabilities() {
  if (!LayerWanted("capabilities")) return Ok{};
  for (int cap = 0; ::prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; ++cap) {
    // EPERM: without CAP_SETPCAP; no_new_privs then keeps the bounding set from mattering.
    if (::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EPERM)
      return SystemError("cannot drop a capability");
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
    return SystemError("cannot clear ambient capabilities");
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return SystemError("cannot drop capabilities");
  return Ok{};
}

Status LimitTo(int resource, uint64_t value) {
  if (!LayerWanted("rlimits")) return Ok{};
  const rlimit limit{value, value};
  // EPERM: the hard limit is lower already, which is as good.
  if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0 && errno != EPERM) {
    return SystemError("cannot set a resource limit");
  }
  return Ok{};
}

Status CloseAllBut(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned next = 3;
  for (int fd : keep) {
    const auto kept = static_cast<unsigned>(fd);
    if (kept < next) continue;
    if (kept > next && ::syscall(SYS_close_range, next, kept - 1, 0) != 0) {
      return SystemError("cannot close inherited descriptors");
    }
    next = kept + 1;
  }
  if (::syscall(SYS_close_range, next, ~0U, 0) != 0) {
    return SystemError("cannot close inherited descriptors");
  }
  return Ok{};
}

Result<std::vector<int>> OpenDescriptors() {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir("/proc/self/fd"), &::closedir);
  if (!dir) return SystemError("cannot read /proc/self/fd");
  std::vector<int> fds;
  while (dirent* entry = ::readdir(dir.get())) {
    char* end = nullptr;
    const long fd = std::strtol(entry->d_name, &end, 10);
    if (end != entry->d_name && fd != ::dirfd(dir.get())) fds.push_back(static_cast<int>(fd));
  }
  return fds;
}

}  // namespace postern::sandbox
