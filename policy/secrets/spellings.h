// A secret's value as others write it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::policy {

// The digits of base64 that only `bytes` decides where `place` bytes (0 to 2) stand before it.
std::string Base64Inside(std::string_view bytes, size_t place, std::string_view alphabet);

// `value`, well-formed UTF-8 without control characters, with what JSON, HTML, URLs and forms must
// or may escape, in each way that usual programs do.
std::vector<std::string> EscapedForms(std::string_view value);

}  // namespace postern::policy
