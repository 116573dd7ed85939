#include "broker/http_fields.h"

#include <algorithm>
#include <utility>

#include "policy/text.h"

namespace postern::broker {
namespace {

std::string Letters(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c != '-' && c != '_') out += policy::AsciiLower(c);
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
    if (policy::IsToken(std::string_view(&c, 1)) && c != '\'') {
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
  return (value.starts_with('/') ? "" : "/") + std::string(value);
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

}  // namespace postern::broker
