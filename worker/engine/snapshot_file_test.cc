#include "worker/engine/snapshot_file.h"

#include <gtest/gtest.h>

namespace postern::worker {
namespace {

TEST(SnapshotFile, OpensWhatItSealed) {
  const std::string whole = SealSnapshot("a blob", "build 1");
  const auto blob = OpenSnapshot(whole, "build 1");
  ASSERT_TRUE(blob);
  EXPECT_EQ(*blob, "a blob");
}

TEST(SnapshotFile, RefusesAnythingElse) {
  const std::string whole = SealSnapshot("a blob", "build 1");
  EXPECT_FALSE(OpenSnapshot("", "build 1"));
  EXPECT_FALSE(OpenSnapshot(whole, "build 2"));
  EXPECT_FALSE(OpenSnapshot(whole + "x", "build 1"));
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(OpenSnapshot(whole.substr(0, n), "build 1")) << n;
    std::string changed = whole;
    changed[n] = static_cast<char>(changed[n] ^ 1);
    EXPECT_FALSE(OpenSnapshot(changed, "build 1")) << n;
  }
}

}  // namespace
}  // namespace postern::worker
