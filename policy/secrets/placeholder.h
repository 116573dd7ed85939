// Secrets in text on its way out: their placeholders, and what stands in their place. What comes
// back is secret_filter.h's.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace postern::policy {

inline constexpr size_t kMinSecret = 8, kMaxSecret = 4096;  // bytes; the least without blanks

// What a guest sees in place of the secret: made of characters that stay as they are in URLs,
// header fields, JSON and forms, and never the beginning of another one's.
std::string Placeholder(std::string_view name);

// `text` with the placeholders of `names` exchanged for the values, in a Basic Authorization's
// base64 as well where `header` says that text is a header's value.
std::string SubstituteSecrets(std::string_view text,
                              const std::map<std::string, std::string>& secrets,
                              const std::vector<std::string>& names, bool header);

// How often any placeholder stands in `text`, a Basic Authorization's base64 included.
size_t CountPlaceholders(std::string_view text);

// Whether a placeholder stands in the name of one of the pairs NAME=VALUE that `separators` part.
bool NamesHoldPlaceholder(std::string_view pairs, std::string_view separators);

// `text` with each ${secret:NAME} exchanged for the value.
std::string ExpandSecrets(std::string_view text, const std::map<std::string, std::string>& secrets);

}  // namespace postern::policy
