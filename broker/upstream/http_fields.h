// Header fields on their way through the broker.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "channel/connection_fields.h"
#include "channel/http2_session.h"

namespace postern::broker {

// What the broker itself decides, besides what belongs to a connection.
inline constexpr std::string_view kNotForwarded[] = {
    "content-length",      "expect",      "host", "proxy-authenticate",
    "proxy-authorization", "proxy-status"};

inline bool Forwarded(std::string_view name) {
  return !name.starts_with("postern-") && !name.starts_with(':') &&
         !channel::IsConnectionField(name) &&
         std::find(std::begin(kNotForwarded), std::end(kNotForwarded), name) ==
             std::end(kNotForwarded);
}

// Whether it makes no difference if a request of this method is carried out twice (RFC 9110 section
// 9.2.2).
inline bool IsIdempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" ||
         method == "DELETE";
}

// What fields ask an origin to take for a request's method and path.
struct Overrides {
  std::vector<std::string> methods;  // upper case
  std::vector<std::string> paths;    // as in policy::Url::path
};

// Of every field that a framework's documents name for that, however it is spelled ("_" is "-" to
// CGI): each of its values, and each word of a value.
Overrides OverridesIn(const channel::Fields& fields);

// A Content-Length's number; nullopt where it is none, or several that differ (RFC 9110
// section 8.6).
std::optional<std::string> LengthIn(std::string_view value);

// How a response is framed that has this Transfer-Encoding (RFC 9112 section 6.1). Codings other
// than chunked were not asked for, and nobody would undo them.
enum class TransferCoding { kIdentity, kChunked, kUnknown };
TransferCoding TransferCodingIn(std::string_view value);

// The names of fields as they are written, for channel/postern_fields.h: those of a request, by the
// names in lower case. Of two that differ in case the first holds (Fetch standard, header list
// append).
class Spellings {
 public:
  explicit Spellings(const std::string* names);
  const std::string& Of(const std::string& name) const;

 private:
  std::unordered_map<std::string, std::string> by_name_;
};
// Empty where all are in lower case.
std::string JoinNames(const std::vector<std::string>& names);

// Without white space at its ends.
inline std::string Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

}  // namespace postern::broker
