#include "broker/upstream/http_fields.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "channel/postern_fields.h"

namespace postern::broker {
namespace {

std::string Letters(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c != '-' && c != '_') out += AsciiLower(c);
  }
  return out;
}

bool Holds(const std::string& letters, std::string_view part) {
  return letters.find(part) != std::string::npos;
}

// X-HTTP-Method-Override (Google, Rack, Symfony, Express), X-HTTP-Method (OData), X-Method-Override
// (IBM), and others' variants of these.
bool IsMethodOverride(const std::string& letters) {
  return Holds(letters, "methodoverride") || Holds(letters, "verboverride") ||
         letters == "xforwardedmethod" || letters == "xrequestedmethod" ||
         letters == "xhttpmethod" || letters == "xmethod" || letters == "httpmethod" ||
         letters == "xrestmethod" || letters == "xhttpverb" || letters == "xoriginalmethod" ||
         letters == "method";
}

// X-Original-URL and X-Rewrite-URL (IIS, Symfony, Zend), and what proxies call them; what else a
// request reads from or writes to: WebDAV's Destination, and copies in object stores.
bool IsPathOverride(const std::string& letters) {
  for (const std::string_view word :
       {"original", "rewrite", "rewritten", "unencoded", "override"}) {
    for (const std::string_view what : {"url", "uri", "path"}) {
      if (Holds(letters, word) && letters.ends_with(what)) return true;
    }
  }
  return letters == "destination" || Holds(letters, "copysource") || letters == "xforwardedurl" ||
         letters == "xforwardeduri" || letters == "xforwardedpath";
}

void AddMethods(std::string_view value, std::vector<std::string>& out) {
  std::string word;
  const auto finish = [&] {
    if (!word.empty()) out.push_back(std::exchange(word, {}));
  };
  for (const char c : value) {
    if (IsToken(std::string_view(&c, 1)) && c != '\'') {
      word += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    } else {
      finish();
    }
  }
  finish();
}

// The path of "/path?query", "path" or "http://host/path".
std::string PathIn(std::string_view value) {
  value = value.substr(0, value.find_first_of("?#"));
  if (const size_t scheme = value.find("://"); scheme != std::string_view::npos) {
    value.remove_prefix(scheme + 3);
    value.remove_prefix(std::min(value.find('/'), value.size()));
  }
  return fmt::format("{}{}", value.starts_with('/') ? "" : "/", value);
}

}  // namespace

Overrides OverridesIn(const channel::Fields& fields) {
  Overrides out;
  for (const channel::Field& f : fields) {
    if (f.name.starts_with(':')) continue;
    const std::string letters = Letters(f.name);
    if (IsMethodOverride(letters)) AddMethods(f.value, out.methods);
    if (IsPathOverride(letters)) out.paths.push_back(PathIn(f.value));
  }
  return out;
}

std::optional<std::string> LengthIn(std::string_view value) {
  std::optional<int64_t> length;
  for (const std::string_view part : SplitList(value)) {
    const std::string one = Trim(part);
    int64_t number = 0;
    const char* end = one.data() + one.size();
    const bool digits = !one.empty() && one[0] >= '0' && one[0] <= '9';
    const auto [stop, error] = std::from_chars(one.data(), end, number);
    if (!digits || error != std::errc() || stop != end || number != length.value_or(number)) {
      return std::nullopt;
    }
    length = number;
  }
  return std::to_string(*length);
}

TransferCoding TransferCodingIn(std::string_view value) {
  auto coding = TransferCoding::kIdentity;
  for (const std::string_view part : SplitList(value)) {
    const std::string one = AsciiLower(Trim(part));
    if (coding == TransferCoding::kChunked) return TransferCoding::kUnknown;  // it is the last one
    if (one == "chunked") coding = TransferCoding::kChunked;
    if (one != "chunked" && one != "identity") return TransferCoding::kUnknown;
  }
  return coding;
}

Spellings::Spellings(const std::string* names) {
  if (names == nullptr) return;
  for (const std::string_view name : channel::SplitNames(*names)) {
    by_name_.emplace(AsciiLower(name), name);
  }
}

const std::string& Spellings::Of(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? name : found->second;
}

std::string JoinNames(const std::vector<std::string>& names) {
  std::string out;
  bool plain = true;
  for (const std::string& name : names) {
    plain = plain && name == AsciiLower(name);
    out += (out.empty() ? "" : ",") + name;
  }
  return plain ? std::string() : out;
}

}  // namespace postern::broker
