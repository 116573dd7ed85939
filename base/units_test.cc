#include "base/units.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(Units, AreWrittenAsTheyMayBeTyped) {
  EXPECT_EQ(BytesText(32 << 20), "32MiB");
  EXPECT_EQ(BytesText(1LL << 30), "1GiB");
  EXPECT_EQ(BytesText((1LL << 30) + (1 << 20)), "1025MiB");
  EXPECT_EQ(BytesText(1000), "1000B");
  EXPECT_EQ(BytesText(0), "0B");
  EXPECT_EQ(DurationText(300'000), "5m");
  EXPECT_EQ(DurationText(90'000), "90s");
  EXPECT_EQ(DurationText(1500), "1500ms");
  EXPECT_EQ(DurationText(7'200'000), "2h");
  EXPECT_EQ(DurationText(0), "0ms");
  for (const int64_t n : {int64_t{1}, int64_t{1023}, int64_t{1} << 20, int64_t{3} << 30}) {
    EXPECT_EQ(*ParseBytes(BytesText(n)), n);
    EXPECT_EQ(*ParseDuration(DurationText(n)), n);
  }
}

}  // namespace
}  // namespace postern
