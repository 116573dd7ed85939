// MemoryCgroup: the memory controller of a cgroup that was delegated to this process, as one more
// wall behind a guest's own limits: it counts what those do not, such as page tables and what lies
// in pipes.
//
// A cgroup is somebody's own: another manager's is not touched. Delegated is one that systemd
// marked so (Delegate=yes), one that belongs to this user and holds its processes only, and the
// root of a cgroup namespace (a container with a writable /sys/fs/cgroup).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace postern::supervisor {

// One guest's cgroup. It is removed when the guest is gone and this is destroyed.
class MemoryCgroup {
 public:
  explicit MemoryCgroup(std::string directory) : directory_(std::move(directory)) {}
  ~MemoryCgroup();
  MemoryCgroup(const MemoryCgroup&) = delete;
  MemoryCgroup& operator=(const MemoryCgroup&) = delete;

  // Whether the kernel killed the guest for its memory.
  bool KilledInside() const;

 private:
  const std::string directory_;
};

// Where guests' cgroups are made.
class MemoryCgroups {
 public:
  // Finds the delegated cgroup that this process is in. Version 2 allows processes in leaves only:
  // this process is moved into one, so call it before anything is started. An error says why there
  // is none. `mounts` and `self` are for tests.
  static Result<MemoryCgroups> Find(const std::string& mounts = "/sys/fs/cgroup",
                                    const std::string& self = "/proc/self/cgroup");

  // Puts the process `pid` into a cgroup of its own, for at most `bytes` of memory, none of it
  // swapped.
  Result<std::unique_ptr<MemoryCgroup>> Confine(pid_t pid, int64_t bytes) const;
  int version() const { return version_; }  // of cgroups: 1 or 2

 private:
  MemoryCgroups(std::string directory, int version)
      : directory_(std::move(directory)), version_(version) {}

  std::string directory_;
  int version_;
};

}  // namespace postern::supervisor
