// JsonSize: how many bytes a text takes as a JSON string, as it comes, piece by piece: a control
// character takes six, and what is no UTF-8 is replaced by a character of three.
#pragma once

#include <cstddef>
#include <string_view>

namespace postern::run_api {

class JsonSize {
 public:
  // What `piece` adds.
  size_t Add(std::string_view piece) {
    size_t size = 0;
    for (const char c : piece) size += Add(static_cast<unsigned char>(c));
    return size;
  }

 private:
  static constexpr size_t kReplacement = 3;

  size_t Add(unsigned char byte) {
    if (left_ > 0 && low_ <= byte && byte <= high_) {
      --left_;
      low_ = 0x80;
      high_ = 0xbf;
      return 1;
    }
    // What began is no character.
    const size_t cut = left_ > 0 ? kReplacement : 0;
    left_ = 0;
    return cut + First(byte);
  }
  size_t First(unsigned char byte) {
    if (byte == '"' || byte == '\\' || (byte >= '\b' && byte <= '\r' && byte != '\v')) return 2;
    if (byte < 0x20) return 6;
    if (byte < 0x80) return 1;
    if (byte < 0xc2 || byte > 0xf4) return kReplacement;
    // RFC 3629 section 4: no overlong form, no surrogate, nothing beyond U+10FFFF.
    left_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    low_ = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    high_ = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    return 1;
  }

  int left_ = 0;  // bytes of the character that has begun
  unsigned char low_ = 0x80, high_ = 0xbf;
};

}  // namespace postern::run_api
