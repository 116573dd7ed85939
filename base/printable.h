// Printable: text of unknown origin as a person may see it, in a terminal or a log, among Postern's
// own words: whatever would be obeyed, or would make the line look like another one, is shown as
// what it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postern {

namespace printable {

struct Character {
  uint32_t code = 0;
  size_t size = 0;  // bytes; 0: no UTF-8
};

// The first character of a text that is not empty (RFC 3629: no overlong form, no surrogate).
inline Character First(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {};
  uint32_t code = lead & (0x7fU >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, size};
}

// C0 and C1 controls; what sets the direction of text (Unicode's Bidi_Control); what ends a line or
// a paragraph; what shows nothing and may stand for anything (deprecated formats, tags).
inline bool IsObeyed(uint32_t c) {
  return (c < 0x20 && c != '\t') || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e ||
         c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x206f) ||
         c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c < 0xe0080);
}

inline void AppendHex(std::string& to, uint32_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    to += "0123456789ABCDEF"[value >> shift & 15];
}

}  // namespace printable

// Tabs pass. A control byte, and one that is no UTF-8, becomes \x1B; another character \u202E or
// \U000E0041. `lines`: the text may have several, and their ends pass.
inline std::string Printable(std::string_view text, bool lines = false) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const printable::Character c = printable::First(text);
    const size_t size = c.size == 0 ? 1 : c.size;
    if (c.size > 0 && (!printable::IsObeyed(c.code) || (lines && c.code == '\n'))) {
      out.append(text.substr(0, size));
    } else if (size == 1) {
      out += "\\x";
      printable::AppendHex(out, static_cast<unsigned char>(text[0]), 2);
    } else {
      out += c.code > 0xffff ? "\\U" : "\\u";
      printable::AppendHex(out, c.code, c.code > 0xffff ? 8 : 4);
    }
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace postern
