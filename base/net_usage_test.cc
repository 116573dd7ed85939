#include "base/net_usage.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(NetUsage, AddsUp) {
  NetUsage total{.requests = 1, .errors = {{"A", 1}}};
  total.Add({.requests = 2, .denied = 1, .bytes_in = 3, .bytes_out = 4, .errors = {{"B", 5}}});
  EXPECT_EQ(total, (NetUsage{.requests = 3,
                             .denied = 1,
                             .bytes_in = 3,
                             .bytes_out = 4,
                             .errors = {{"A", 1}, {"B", 5}}}));
}

TEST(NetUsage, SinceIsWhatCameAndNeverLessThanNothing) {
  const NetUsage before{.requests = 5, .bytes_in = 7, .errors = {{"A", 2}}};
  const NetUsage now{.requests = 6, .bytes_in = 3, .errors = {{"A", 3}, {"B", 1}}};
  EXPECT_EQ(now.Since(before), (NetUsage{.requests = 1, .errors = {{"A", 1}, {"B", 1}}}));
  EXPECT_EQ(now.Since({}), now);
}

}  // namespace
}  // namespace postern
