#include "base/descriptor_rights.h"

#include <gtest/gtest.h>

#include "channel/control.h"

namespace postern::channel {
namespace {

TEST(DescriptorRights, AsManyAsThereIsRoomForAndNoMore) {
  auto pair = MakeControlPair();
  ASSERT_TRUE(pair);
  const std::vector<int> most(kMaxFds, pair->first.get());
  ASSERT_TRUE(SendControl(pair->first.get(), SpareMade{}, most));
  const auto received = ReceiveControl(pair->second.get());
  ASSERT_TRUE(received && *received);
  EXPECT_EQ((*received)->fds.size(), kMaxFds);
  for (const size_t count : {kMaxFds + 1, size_t{100}, size_t{1000}}) {
    const std::vector<int> more(count, pair->first.get());
    const Status sent = SendControl(pair->first.get(), SpareMade{}, more);
    ASSERT_FALSE(sent);
    EXPECT_NE(sent.error().message.find("at most 16 descriptors"), std::string::npos);
  }
}

}  // namespace
}  // namespace postern::channel
