#include "channel/failure.h"

#include "base/format.h"

namespace postern::channel {
namespace {

// Bytes of a sentence: it may quote an origin, and each may become three.
constexpr size_t kMaxDetails = 4 * 1024;

// The value of parameter `name` in "postern; a=b; c="d"", unquoted; nullopt if absent or malformed.
std::optional<std::string> Parameter(std::string_view value, std::string_view name) {
  const std::string key = fmt::format("; {}=", name);
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

std::string FormatProxyStatus(const Failure& failure) {
  std::string out =
      fmt::format("postern; error={}; code={}; details=\"", failure.error, failure.code);
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
