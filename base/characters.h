// Characters as text writes them: hexadecimal digits and UTF-8.
#pragma once

#include <cstdint>
#include <string>

namespace postern {

// -1 for what is no digit.
inline int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Surrogates too, as three bytes: what an escape names need not be a character.
inline void AppendUtf8(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
    return;
  }
  const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;  // bytes after the first
  constexpr uint32_t kLead[] = {0, 0xc0, 0xe0, 0xf0};
  out += static_cast<char>(kLead[more] | (point >> 6 * more & (0x3f >> more)));
  for (int k = more - 1; k >= 0; --k) out += static_cast<char>(0x80 | (point >> 6 * k & 0x3f));
}

}  // namespace postern
