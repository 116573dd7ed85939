#include "policy/trace_context.h"

#include <algorithm>

namespace postern::policy {
namespace {

constexpr size_t kTrace = 3, kSpan = 36, kFlags = 53, kSize = 55;

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsId(std::string_view text) {
  return IsHex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

bool IsTraceParent(std::string_view t) {
  return t.size() == kSize && t.starts_with("00-") && t[kSpan - 1] == '-' && t[kFlags - 1] == '-' &&
         IsId(t.substr(kTrace, 32)) && IsId(t.substr(kSpan, 16)) && IsHex(t.substr(kFlags));
}

std::string ChildTraceParent(std::string_view parent, std::string_view span) {
  std::string out(parent.substr(0, kSpan));
  for (const char c : span) {
    const auto byte = static_cast<unsigned char>(c);
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out.append(parent.substr(kFlags - 1));
}

}  // namespace postern::policy
