#include "base/printable.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

std::string Utf8(uint32_t c) {
  std::string out;
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 0x3f))};
  } else if (c < 0x10000) {
    out += {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3f)),
            static_cast<char>(0x80 | (c & 0x3f))};
  } else {
    out += {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3f)),
            static_cast<char>(0x80 | (c >> 6 & 0x3f)), static_cast<char>(0x80 | (c & 0x3f))};
  }
  return out;
}

TEST(Printable, WhatIsPlainStaysAsItIs) {
  for (const char* text : {"", "plain\ttext", "äöü €uro 日本語 \xf0\x9f\x98\x80 עברית العربية"})
    EXPECT_EQ(Printable(text), text);
  EXPECT_EQ(Printable("a\nb", true), "a\nb");
}

TEST(Printable, WhatATerminalObeysIsShown) {
  EXPECT_EQ(Printable("\x1b[2J\r\n\a\x7f"), "\\x1B[2J\\x0D\\x0A\\x07\\x7F");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "31m"),
            "\\u009B31m");
  EXPECT_EQ(Printable("\x9b"
                      "31m"),
            "\\x9B31m");
  EXPECT_EQ(Printable("a\xe2\x80\xae"
                      "b"),
            "a\\u202Eb");
  EXPECT_EQ(Printable("a\xe2\x80\xa8"
                      "b\xe2\x80\xa9"),
            "a\\u2028b\\u2029");
  EXPECT_EQ(Printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(Printable(Utf8(0xe0041)), "\\U000E0041");
}

// Every character, alone and cut short; every pair of bytes.
TEST(Printable, NothingThatIsObeyedIsLeft) {
  const auto clean = [](const std::string& text) {
    std::string_view rest = text;
    while (!rest.empty()) {
      const printable::Character c = printable::First(rest);
      if (c.size == 0 || printable::IsObeyed(c.code)) return false;
      rest.remove_prefix(c.size);
    }
    return true;
  };
  for (uint32_t c = 0; c <= 0x10ffff; c = c < 0x3000 ? c + 1 : c + 0x7d) {
    const std::string text = "a" + Utf8(c) + "b";
    EXPECT_TRUE(clean(Printable(text))) << c;
    EXPECT_TRUE(clean(Printable(text.substr(0, text.size() - 2) + "\x1b"))) << c;
  }
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text = {static_cast<char>(a), static_cast<char>(b)};
      EXPECT_TRUE(clean(Printable(text))) << a << " " << b;
    }
  }
  for (const uint32_t c :
       {0x80u, 0x85u, 0x9bu, 0x9fu, 0x61cu, 0x200eu, 0x200fu, 0x2028u, 0x2029u, 0x202au, 0x202bu,
        0x202cu, 0x202du, 0x202eu, 0x2066u, 0x2067u, 0x2068u, 0x2069u, 0xfeffu})
    EXPECT_EQ(Printable(Utf8(c))[0], '\\') << c;
}

}  // namespace
}  // namespace postern
