#include "broker/net/body_filter.h"

#include <gtest/gtest.h>

#include "policy/secrets/placeholder.h"

namespace postern::broker {
namespace {

const std::string kSecret = "correct-horse-battery";

BodyFilter Filter() {
  return BodyFilter(std::make_shared<const policy::SecretIndex>(
      std::map<std::string, std::string>{{"KEY", kSecret}}));
}

TEST(BodyFilter, ComesInWholeBlocks) {
  BodyFilter filter = Filter();
  std::string out;
  size_t counted = 0;
  for (int i = 0; i < 100; ++i) {
    counted += filter.Feed(std::string(100, 'x') + kSecret);
    const std::string blocks = filter.TakeBlocks();
    EXPECT_EQ(blocks.size() % BodyFilter::kBlock, 0u);
    out += blocks;
  }
  counted += filter.Flush();
  EXPECT_TRUE(filter.waits());
  out += filter.TakeAll();
  EXPECT_FALSE(filter.waits());
  EXPECT_EQ(out.size(), counted);
  std::string expected;
  for (int i = 0; i < 100; ++i) expected += std::string(100, 'x') + policy::Placeholder("KEY");
  EXPECT_EQ(out, expected);
}

TEST(BodyFilter, LinesThatWereTakenEarlyMoveNoBlock) {
  BodyFilter filter = Filter();
  filter.Feed("data: 1\n\ndata: " + std::string(300, 'y'));
  EXPECT_EQ(filter.TakeBlocks(), "");
  EXPECT_EQ(filter.TakeLines(), "data: 1\n\n");
  EXPECT_EQ(filter.TakeLines(), "");
  filter.Feed(std::string(3 * BodyFilter::kBlock, 'z'));
  EXPECT_EQ((filter.TakeBlocks().size() + 9) % BodyFilter::kBlock, 0u);
}

}  // namespace
}  // namespace postern::broker
