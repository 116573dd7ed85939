#include "broker/files/file_numbers.h"

#include <sys/random.h>

namespace postern::broker {
namespace {

constexpr uint64_t kFirstDevice = 2;     // 1 is the guest's own memory
constexpr uint64_t kAbove = 1ULL << 52;  // numbers that JavaScript has, beyond those of the known
constexpr size_t kMaxKnown = 1 << 20;    // files that have a number of their own

}  // namespace

FileNumbers::FileNumbers() {
  // Without them inodes beyond the first million are told apart all the same.
  (void)!::getrandom(secret_.data(), sizeof secret_, 0);
}

FileNumbers::Numbers FileNumbers::Of(const struct stat& st) {
  const uint64_t device =
      devices_.try_emplace(st.st_dev, devices_.size() + kFirstDevice).first->second;
  const std::pair<dev_t, ino_t> id{st.st_dev, st.st_ino};
  if (const auto known = inodes_.find(id); known != inodes_.end()) return {known->second, device};
  if (inodes_.size() < kMaxKnown) return {inodes_[id] = inodes_.size() + 1, device};
  uint64_t mixed = st.st_ino ^ secret_[0];
  for (const uint64_t key : secret_) {
    mixed = (mixed ^ mixed >> 31 ^ key) * 0x9fb21c651e98df25;
    mixed ^= mixed >> 29;
  }
  return {kAbove | mixed % kAbove, device};
}

}  // namespace postern::broker
