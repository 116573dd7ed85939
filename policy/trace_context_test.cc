#include "policy/trace_context.h"

#include <gtest/gtest.h>

namespace postern::policy {
namespace {

constexpr char kParent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContext, KnowsOneWhenItSeesIt) {
  EXPECT_TRUE(IsTraceParent(kParent));
  for (const char* bad : {"", "00", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                          "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01"})
    EXPECT_FALSE(IsTraceParent(bad)) << bad;
}

TEST(TraceContext, AChildHasTheTraceAndASpanOfItsOwn) {
  const std::string child = ChildTraceParent(kParent, std::string_view("\0\1\2\3\4\5\6\xff", 8));
  EXPECT_EQ(child, "00-4bf92f3577b34da6a3ce929d0e0e4736-00010203040506ff-01");
  EXPECT_TRUE(IsTraceParent(child));
}

}  // namespace
}  // namespace postern::policy
