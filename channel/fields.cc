#include "channel/fields.h"

#include <algorithm>
#include <iterator>

#include "base/format.h"

namespace postern::channel {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

const std::string* FindField(const Fields& fields, std::string_view name) {
  for (const Field& f : fields) {
    if (f.name == name) return &f.value;
  }
  return nullptr;
}

Status CheckFields(const Fields& fields) {
  size_t all = 0;
  for (const Field& f : fields) {
    const size_t longer = std::max(f.name.size(), f.value.size());
    if (longer > kMaxFieldBytes) {
      return Error{fmt::format("a header field of {} bytes (\"{}\"); one has at most {}", longer,
                               std::string_view(f.name).substr(0, 64), kMaxFieldBytes)};
    }
    all += f.name.size() + f.value.size() + 32;  // as RFC 9113 section 6.5.2 counts
  }
  if (all <= kMaxHeaderBytes) return Ok{};
  return Error{
      fmt::format("header fields of {} bytes; they have at most {}", all, kMaxHeaderBytes)};
}

std::string EscapeText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e || c == '%') {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string UnescapeText(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace postern::channel
