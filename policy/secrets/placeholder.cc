#include "policy/secrets/placeholder.h"

#include <algorithm>

#include "base/base64.h"
#include "base/format.h"
#include "base/text.h"

namespace postern::policy {
namespace {

std::string Exchange(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (;;) {
    const size_t at = text.find(from);
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    out += to;
    text.remove_prefix(at + from.size());
  }
}

}  // namespace

std::string Placeholder(std::string_view name) { return fmt::format("postern-secret-{}-", name); }

std::string SubstituteSecrets(std::string_view text,
                              const std::map<std::string, std::string>& secrets,
                              const std::vector<std::string>& names, bool header) {
  std::string out(text);
  for (const std::string& name : names) {
    const auto value = secrets.find(name);
    if (value != secrets.end()) out = Exchange(out, Placeholder(name), value->second);
  }
  constexpr std::string_view kBasic = "basic ";
  if (!header || !EqualsIgnoringCase(std::string_view(out).substr(0, kBasic.size()), kBasic)) {
    return out;
  }
  const auto credentials = DecodeBase64(std::string_view(out).substr(kBasic.size()));
  if (!credentials) return out;
  const std::string put = SubstituteSecrets(*credentials, secrets, names, false);
  if (put == *credentials) return out;
  return out.substr(0, kBasic.size()) + EncodeBase64(put);
}

bool NamesHoldPlaceholder(std::string_view pairs, std::string_view separators) {
  while (!pairs.empty()) {
    const size_t end = std::min(pairs.find_first_of(separators), pairs.size());
    const std::string_view pair = pairs.substr(0, end);
    // What has no value is one, for some, and a name for others.
    const std::string_view name = pair.substr(0, pair.find('='));
    if (CountPlaceholders(name) > 0) return true;
    pairs.remove_prefix(std::min(end + 1, pairs.size()));
  }
  return false;
}

size_t CountPlaceholders(std::string_view text) {
  constexpr std::string_view kBegins = "postern-secret-", kBasic = "basic ";
  size_t count = 0;
  for (size_t at = text.find(kBegins); at != std::string_view::npos;
       at = text.find(kBegins, at + kBegins.size())) {
    ++count;
  }
  if (!EqualsIgnoringCase(text.substr(0, kBasic.size()), kBasic)) return count;
  const auto credentials = DecodeBase64(text.substr(kBasic.size()));
  return credentials ? count + CountPlaceholders(*credentials) : count;
}

std::string ExpandSecrets(std::string_view text,
                          const std::map<std::string, std::string>& secrets) {
  std::string out(text);
  for (const auto& [name, value] : secrets)
    out = Exchange(out, fmt::format("${{secret:{}}}", name), value);
  return out;
}

}  // namespace postern::policy
