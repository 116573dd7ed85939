// Fields that belong to one connection, and are never passed on (RFC 9110 section 7.6.1).
#pragma once

#include <algorithm>
#include <string_view>

namespace postern::channel {

inline constexpr std::string_view kConnectionFields[] = {
    "connection", "keep-alive",        "proxy-connection", "te",
    "trailer",    "transfer-encoding", "upgrade"};

// `name` in lower case.
inline bool IsConnectionField(std::string_view name) {
  return std::find(std::begin(kConnectionFields), std::end(kConnectionFields), name) !=
         std::end(kConnectionFields);
}

}  // namespace postern::channel
