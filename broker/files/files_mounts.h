// MountTable: which mount a guest's path leads into, and which directories must stay where they
// are.
//
// A mount may lie inside another: what it hides, and what it makes read-only, must not be reached
// through the outer one under another name, by a link of the host's, a path that is not normal, or
// after a directory above it was moved. So mounts are told by what they are, device and inode: a
// directory that is a mount inside, or that one hides, is that mount wherever a path meets it; and
// no directory that is a mount, is hidden by one or stands above one is moved, removed or replaced.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace postern::broker {

struct BrokerMount {
  std::string guest;  // absolute, without a trailing slash; "" for the root
  UniqueFd directory;
  bool writable = false;
};

// Where a path leads: its mount, and what of it is beneath that; "." for the mount itself.
struct MountedPath {
  const BrokerMount* mount;
  std::string relative;
  bool walked = false;  // no links lead there any more, but for the last name where it was kept
};

// The path that a guest would give for it.
std::string PathOf(const MountedPath& place);

// Opens beneath its mount by the kernel (openat2, RESOLVE_BENEATH); `path` is for the message.
Result<UniqueFd> OpenBeneath(const MountedPath& place, int flags, const std::string& path,
                             uint64_t mode = 0, uint64_t resolve = 0);
// Where an open link leads.
Result<std::string> TargetOf(int link, const std::string& path);

class MountTable {
 public:
  // Looks at what lies above the mounts: before their directories are all that can be named.
  explicit MountTable(std::vector<BrokerMount> mounts);

  const std::vector<BrokerMount>& mounts() const { return mounts_; }

  // Whether the last name of a path is followed where it is a link.
  enum class Last { kFollow, kKeep };
  // A relative link may lead from one mount into another, at the guest's paths of both. EACCES
  // where it leads into none, EXDEV for an absolute one. What is there need not exist.
  Result<MountedPath> Find(const std::string& path, Last last) const;
  // The same without links, for a path of any mount: how they lead is looked up name by name.
  Result<MountedPath> Walk(const MountedPath& place, Last last, const std::string& path) const;
  // EBUSY for a directory that may be neither moved nor removed nor replaced.
  Status MayChange(int directory, const std::string& path) const;

 private:
  using Id = std::pair<dev_t, ino_t>;
  // A mount inside another, as seen from that: where it stands, and what it hides there.
  struct Inner {
    const BrokerMount* mount;
    std::string at;   // beneath the outer one
    UniqueFd hidden;  // as it was in the beginning: held, so that its inode is nobody else's
    Id root, hidden_id;
  };
  struct Outer {
    const BrokerMount* mount;
    std::vector<Inner> inner;
  };

  // The innermost mount that a path without links is in, by its names; nullptr where it is in none.
  const BrokerMount* Around(const std::vector<std::string>& names) const;
  const Outer& OuterOf(const BrokerMount* mount) const;
  // The mount inside `outer` that a directory is or that hides it; nullptr for any other.
  const BrokerMount* InnerAt(const Outer& outer, const struct stat& directory) const;
  void KeepAbove(int directory);
  bool Stays(Id id) const;

  std::vector<BrokerMount> mounts_;
  std::vector<Outer> outers_;  // one for each mount
  std::set<Id> kept_;
};

}  // namespace postern::broker
