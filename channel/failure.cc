#include "channel/failure.h"

#include <cstdio>

namespace postern::channel {
namespace {

// Bytes of a sentence: it may quote an origin, and each may become three.
constexpr size_t kMaxDetails = 4 * 1024;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// The value of parameter `name` in "postern; a=b; c="d"", unquoted; nullopt if absent or malformed.
std::optional<std::string> Parameter(std::string_view value, std::string_view name) {
  const std::string key = "; " + std::string(name) + "=";
  const size_t at = value.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = value.substr(at + key.size());
  if (rest.empty() || rest[0] != '"') return std::string(rest.substr(0, rest.find(';')));
  std::string out;
  for (size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"') return out;
    if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
    out += rest[i];
  }
  return std::nullopt;
}

}  // namespace

std::string EscapeText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e || c == '%') {
      char hex[4];
      std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned char>(c));
      out += hex;
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

std::string FormatProxyStatus(const Failure& failure) {
  std::string out = "postern; error=" + failure.error + "; code=" + failure.code + "; details=\"";
  for (const char c : EscapeText(std::string_view(failure.details).substr(0, kMaxDetails))) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::optional<Failure> ParseProxyStatus(std::string_view value) {
  if (!value.starts_with("postern;")) return std::nullopt;
  auto error = Parameter(value, "error");
  auto code = Parameter(value, "code");
  auto details = Parameter(value, "details");
  if (!error || !code || !details) return std::nullopt;
  return Failure{*error, *code, UnescapeText(*details)};
}

Fields FailureResponse(const Failure& failure) {
  const bool refused =
      failure.error == "http_request_denied" || failure.error == "destination_ip_prohibited";
  return {{":status", refused ? "403" : "502"}, {"proxy-status", FormatProxyStatus(failure)}};
}

}  // namespace postern::channel
