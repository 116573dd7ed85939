// Header fields on their way through the broker.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

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

// What X-HTTP-Method-Override and its like ask an origin to take for the method; empty where none
// does.
inline std::string_view OverridingMethod(const channel::Fields& fields) {
  for (const char* name : {"x-http-method-override", "x-http-method", "x-method-override"}) {
    if (const std::string* value = channel::FindField(fields, name)) return *value;
  }
  return {};
}

// Without white space at its ends.
inline std::string Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

}  // namespace postern::broker
