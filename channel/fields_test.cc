#include "channel/fields.h"

#include <gtest/gtest.h>

namespace postern::channel {
namespace {

TEST(Fields, FindsTheFirstOfAName) {
  const Fields fields = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
  ASSERT_NE(FindField(fields, "a"), nullptr);
  EXPECT_EQ(*FindField(fields, "a"), "1");
  EXPECT_EQ(FindField(fields, "c"), nullptr);
}

TEST(Fields, AnyTextTravelsEscaped) {
  const std::string every = [] {
    std::string all;
    for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
    return all;
  }();
  EXPECT_EQ(UnescapeText(EscapeText(every)), every);
  EXPECT_EQ(EscapeText("a%\n\xff z"), "a%25%0A%FF z");
  for (const char* odd : {"%", "%4", "%zz", "100%", "%4G"}) EXPECT_EQ(UnescapeText(odd), odd);
}

TEST(Fields, HaveBounds) {
  EXPECT_TRUE(CheckFields({{"a", std::string(kMaxFieldBytes, 'x')}}));
  const Status longer = CheckFields({{"a", std::string(kMaxFieldBytes + 1, 'x')}});
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().message, "a header field of 61441 bytes (\"a\"); one has at most 61440");
  const Field most{"a", std::string(kMaxFieldBytes, 'x')};
  const Status more = CheckFields({most, most, most});
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().message, "header fields of 184419 bytes; they have at most 131072");
}

}  // namespace
}  // namespace postern::channel
