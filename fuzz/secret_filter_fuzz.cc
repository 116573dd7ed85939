// The filter of what origins answer: no eight characters of a value pass as they are, whatever
// stands around them and however it comes in pieces. The first byte says where the value is cut,
// the second how long pieces are; a byte 0xff in the rest stands for (what is left of) the value.
#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "policy/secrets/secret_filter.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::policy;
  static const std::string value = "sk_Live-51H8xYzQpLmN0oRt";
  static const auto index =
      std::make_shared<const SecretIndex>(std::map<std::string, std::string>{{"KEY", value}});
  if (size < 2 || size > 4096) return 0;
  const std::string part = value.substr(0, data[0] % (value.size() + 1));
  std::string text;
  for (size_t i = 2; i < size; ++i) {
    if (data[i] == 0xff) {
      text += part;
    } else {
      text += static_cast<char>(data[i]);
    }
  }
  SecretFilter filter(index);
  std::string out;
  const size_t piece = data[1] + 1U;
  for (size_t at = 0; at < text.size(); at += piece) {
    filter.Feed(std::string_view(text).substr(at, piece), out);
  }
  filter.Flush(out);
  for (size_t at = 0; at + kBlock <= value.size(); at += kBlock) {
    if (out.find(value.substr(at, kBlock)) != std::string::npos) std::abort();
  }
  if (part.size() >= kBlock && out.find(part) != std::string::npos) std::abort();
  return 0;
}
