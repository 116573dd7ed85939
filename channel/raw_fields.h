// What travels on a guest's channel besides HTTP's own semantics, for clients that see the wire
// (node:http): HTTP/2 knows names in lower case only, and no version or address of an origin.
//
// Request:  "postern-raw: on" asks for what a response has of this; "postern-names" has those names
//           of its fields that are not in lower case.
// Response: "postern-names"; "postern-connection" is "VERSION ADDRESS PORT", the last two missing
//           where a proxy looked the name up; "postern-upgraded: on" follows a 101, after which the
//           body is the other protocol's bytes.
// A response's names are those of all its fields, in their order; where all are in lower case they
// are left out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::channel {

inline constexpr char kRaw[] = "postern-raw";
inline constexpr char kNames[] = "postern-names";
inline constexpr char kConnection[] = "postern-connection";
inline constexpr char kUpgraded[] = "postern-upgraded";

// The names in a kNames.
inline std::vector<std::string_view> SplitNames(std::string_view names) {
  std::vector<std::string_view> out;
  while (!names.empty()) {
    const size_t comma = names.find(',');
    out.push_back(names.substr(0, comma));
    names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  }
  return out;
}

}  // namespace postern::channel
