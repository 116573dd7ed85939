// Header fields on their way through the broker.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
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

// What fields ask an origin to take for a request's method and path.
struct Overrides {
// Whether it makes no difference if a request of this method is carried out twice (RFC 9110 section
// 9.2.2).
inline bool IsIdempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" ||
         method == "DELETE";
}

  std::vector<std::string> methods;  // upper case
  std::vector<std::string> paths;    // as in policy::Url::path
};

// Of every field that a framework's documents name for that, however it is spelled ("_" is "-" to
// CGI): each of its values, and each word of a value.
Overrides OverridesIn(const channel::Fields& fields);

// Without white space at its ends.
inline std::string Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

}  // namespace postern::broker
