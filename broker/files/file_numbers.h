// FileNumbers: the inodes and devices that a guest is told: numbers of its own, which tell its
// files apart, and nothing of the host.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <map>
#include <utility>

namespace postern::broker {

class FileNumbers {
 public:
  FileNumbers();

  struct Numbers {
    uint64_t inode, device;
  };
  // The same for the same file. They count in the order in which the guest meets them. There is
  // room for a million; a later file gets a number by a secret function, which is hardly ever
  // another's too.
  Numbers Of(const struct stat& st);

 private:
  std::map<std::pair<dev_t, ino_t>, uint64_t> inodes_;
  std::map<dev_t, uint64_t> devices_;
  std::array<uint64_t, 4> secret_{};
};

}  // namespace postern::broker
