#include "run_api/json_size.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace postern::run_api {
namespace {

size_t Real(const std::string& text) {
  return nlohmann::json(text)
             .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
             .size() -
         2;
}

TEST(JsonSize, IsThatOfTheTextAsItIsWritten) {
  for (int byte = 0; byte < 128; ++byte) {
    const std::string text(3, static_cast<char>(byte));
    EXPECT_EQ(JsonSize().Add(text), Real(text)) << byte;
  }
  for (const char* text : {"", "plain", "äöü €uro \xf0\x9f\x98\x80", "\"quoted\\\"\n\t\x01"})
    EXPECT_EQ(JsonSize().Add(text), Real(text)) << text;
}

// Never less: it is a limit. However the text is cut.
TEST(JsonSize, IsNeverBelowIt) {
  std::mt19937 random(8259);
  constexpr unsigned char kBytes[] = {0,    1,    'a',  '"',  '\n', 0x7f, 0x80, 0x8f,
                                      0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0,
                                      0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff};
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    JsonSize counter;
    size_t size = 0;
    for (int piece = 0; piece < 4; ++piece) {
      std::string bytes;
      for (size_t n = random() % 5; n > 0; --n)
        bytes += static_cast<char>(kBytes[random() % sizeof kBytes]);
      text += bytes;
      size += counter.Add(bytes);
    }
    text += "end";
    size += counter.Add("end");
    EXPECT_GE(size, Real(text)) << testing::PrintToString(text);
    EXPECT_LE(size, text.size() * 6) << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace postern::run_api
