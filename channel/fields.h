// Fields: the header or trailer fields of one HTTP/2 block, pseudo-header fields first.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern::channel {

struct Field {
  std::string name;  // lower case
  std::string value;

  bool operator==(const Field&) const = default;
};
using Fields = std::vector<Field>;

// The value of the first field of that name; null where there is none.
const std::string* FindField(const Fields& fields, std::string_view name);

inline constexpr size_t kMaxHeaderBytes = 128 * 1024;  // all fields of one block, names and values
// One name or value: nghttp2 takes none of over 64 KiB, and ends the connection of whoever sends
// it.
inline constexpr size_t kMaxFieldBytes = 60 * 1024;

// Whether the fields can be sent as one block: else the peer would end the whole connection for
// what one stream sends. The error is a sentence's end, as in "a response has …".
Status CheckFields(const Fields& fields);

// Percent-encodes what is not printable ASCII, so that any text is a field's value and an RFC 8941
// string; and back.
std::string EscapeText(std::string_view text);
std::string UnescapeText(std::string_view text);

}  // namespace postern::channel
