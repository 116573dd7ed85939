// Members of a HAR file's JSON: any of them may be absent, null, or of another type than it should.
#pragma once

#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/format.h"

namespace postern::har {

using nlohmann::json;

// What is wrong with an entry; thrown and caught by har::Parse.
struct Malformed {
  std::string what;
};

// A member; null where there is none.
inline const json& Member(const json& object, const char* name) {
  static const json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

inline std::string Text(const json& object, const char* name) {
  const json& text = Member(object, name);
  if (text.is_null()) return {};
  if (!text.is_string()) throw Malformed{fmt::format("its \"{}\" is no text", name)};
  return text;
}

inline std::optional<int64_t> Number(const json& object, const char* name) {
  const json& number = Member(object, name);
  if (number.is_null()) return std::nullopt;
  constexpr double kMaxNumber = 1e15;
  const double value = number.is_number() ? number.get<double>() : NAN;
  if (!(std::abs(value) < kMaxNumber) || value != std::trunc(value)) {
    throw Malformed{fmt::format("its \"{}\" is no whole number", name)};
  }
  return static_cast<int64_t>(value);
}

// A number of bytes; tools write -1 for one that they do not know.
inline std::optional<int64_t> Size(const json& object, const char* name) {
  const auto size = Number(object, name);
  return size && *size >= 0 ? size : std::nullopt;
}

inline const json& Required(const json& entry, const char* name) {
  const json& object = Member(entry, name);
  if (!object.is_object()) throw Malformed{fmt::format("it has no {}", name)};
  return object;
}

inline const json& List(const json& object, const char* name) {
  static const json kEmpty = json::array();
  const json& list = Member(object, name);
  if (list.is_null()) return kEmpty;
  if (!list.is_array()) throw Malformed{fmt::format("its \"{}\" is no list", name)};
  return list;
}

}  // namespace postern::har
