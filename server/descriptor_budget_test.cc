#include "server/descriptor_budget.h"

#include <gtest/gtest.h>

#include "channel/spare_fds.h"

namespace postern::server {
namespace {

constexpr DescriptorBudget::Wanted kApi{.runs = 16, .spares = 2, .callers = 16, .connections = 256};
constexpr DescriptorBudget::Wanted kHandler{.runs = 16,
                                            .spares = 2,
                                            .callers = 16,
                                            .handler_guests = 16,
                                            .connections = 256,
                                            .handler_connections = 10'000};

TEST(DescriptorBudget, WhereThereIsEnoughEverybodyHasWhatIsWanted) {
  const auto b = DescriptorBudget::Share(1 << 20, kHandler);
  ASSERT_TRUE(b);
  EXPECT_EQ(b->runs, 16u);
  EXPECT_EQ(b->callers, 16u);
  EXPECT_EQ(b->handler_guests, 16u);
  EXPECT_EQ(b->connections, 256u);
  EXPECT_EQ(b->handler_connections, 10'000u);
}

// What all of them can take together is never more than there is.
TEST(DescriptorBudget, TheSumIsNeverMoreThanThereIs) {
  constexpr size_t kGuest = channel::kSpareFdCount + 1;
  for (const auto& wanted : {kApi, kHandler}) {
    for (size_t spares = 0; spares < 40; spares += 3) {
      DescriptorBudget::Wanted w = wanted;
      w.spares = spares;
      w.runs = 16 + spares * 10;
      for (size_t granted = 0; granted < 20'000; granted += 17) {
        const auto b = DescriptorBudget::Share(granted, w);
        if (!b) {
          EXPECT_NE(b.error().message.find("needs more descriptors"), std::string::npos);
          continue;
        }
        const size_t most = b->callers * (2 + w.spares * kGuest) +
                            (b->runs + b->handler_guests) * (kGuest + 2) + b->mounts +
                            3 * b->connections + b->handler_connections;
        EXPECT_LE(most + 40, granted);
        EXPECT_GE(b->runs, 1u);
        EXPECT_GE(b->connections, 8u);
      }
    }
  }
}

TEST(DescriptorBudget, AnOrdinaryLimitIsEnough) {
  for (const size_t granted : {256, 400, 1'024, 4'096}) {
    EXPECT_TRUE(DescriptorBudget::Share(granted, kApi)) << granted;
    EXPECT_TRUE(DescriptorBudget::Share(granted, kHandler)) << granted;
  }
  EXPECT_FALSE(DescriptorBudget::Share(64, kApi));
}

}  // namespace
}  // namespace postern::server
