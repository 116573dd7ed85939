// Base64 (RFC 4648): the standard alphabet (section 4) and the URL-safe one (section 5).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

inline constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
inline constexpr std::string_view kBase64Url =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Without padding.
inline std::string Base64Digits(std::string_view bytes, std::string_view alphabet = kBase64) {
  std::string out;
  out.reserve(bytes.size() * 4 / 3 + 2);
  uint32_t bits = 0;
  int count = 0;
  for (const unsigned char c : bytes) {
    bits = bits << 8 | c;
    for (count += 8; count >= 6;) out += alphabet[bits >> (count -= 6) & 63];
  }
  if (count > 0) out += alphabet[bits << (6 - count) & 63];
  return out;
}

inline std::string EncodeBase64(std::string_view bytes) {
  std::string out = Base64Digits(bytes);
  return out.append((4 - out.size() % 4) % 4, '=');
}

// nullopt for a character that is no digit; padding may be absent.
inline std::optional<std::string> DecodeBase64(std::string_view text) {
  static const auto kValues = [] {
    std::array<uint8_t, 256> values;
    values.fill(64);
    for (uint8_t i = 0; i < 64; ++i) values[static_cast<unsigned char>(kBase64[i])] = i;
    return values;
  }();
  std::string out;
  out.reserve(text.size() * 3 / 4);
  while (text.ends_with('=')) text.remove_suffix(1);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const uint32_t digit = kValues[static_cast<unsigned char>(c)];
    if (digit == 64) return std::nullopt;
    bits = bits << 6 | digit;
    if ((count += 6) >= 8) out += static_cast<char>(bits >> (count -= 8) & 255);
  }
  return out;
}

}  // namespace postern
