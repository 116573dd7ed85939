// MemoryFiles: a guest's /tmp: files that are nowhere but in its memory, and go with it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/result.h"
#include "channel/files_protocol.h"

namespace postern::worker {

using channel::FileTimes;
using channel::WriteHow;

class MemoryFiles {
 public:
  struct Node {
    bool directory = false;
    std::string bytes;
    FileTimes times;
    uint32_t mode = channel::kFileModes;
    int64_t inode = 1;  // each node's own
  };
  static constexpr size_t kMaxBytes = 64 << 20;  // of all files together
  static constexpr size_t kMaxFiles = 10'000;    // directories too
  static constexpr size_t kMaxPath = 4096;

  // `root`: its path, as "/tmp"; `now`: milliseconds since 1970.
  MemoryFiles(std::string root, std::function<double()> now);

  bool Has(const std::string& path) const {
    return path == root_ || path.starts_with(fmt::format("{}/", root_));
  }
  // Errors have an errnum: ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, ENOSPC, EBUSY, ENAMETOOLONG.
  Result<const Node*> Find(const std::string& path) const;
  Result<std::vector<std::pair<std::string, bool>>> List(
      const std::string& path) const;  // name, is a directory
  // `truncate`: the size that the file has before anything is written; -1 leaves it. `mode`: of
  // what is made, as far as that goes (channel/file_modes.h).
  Status Write(const std::string& path, const std::string& bytes, WriteHow how, size_t offset,
               int64_t truncate, uint32_t mode = channel::kFileModes);
  Status MakeDirectory(const std::string& path, bool all, uint32_t mode = channel::kDirectoryModes);
  Status Remove(const std::string& path, bool directory, bool all);
  Status Move(const std::string& from, const std::string& to);
  // In milliseconds since 1970.
  Status SetTimes(const std::string& path, double accessed, double modified);

 private:
  // Why there is nothing at a path: ENOTDIR where a file stands above it.
  int WhyMissing(const std::string& path) const;
  Status CheckParent(const std::string& path) const;
  bool Empty(const std::string& path) const;
  std::string Normal(std::string path) const;

  const std::string root_;
  const std::function<double()> now_;
  std::map<std::string, Node> nodes_;
  size_t bytes_ = 0;
  int64_t last_inode_ = 1;
};

}  // namespace postern::worker
