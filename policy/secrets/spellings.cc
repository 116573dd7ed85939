#include "policy/secrets/spellings.h"

#include "base/base64.h"
#include "base/format.h"
#include "base/text.h"

namespace postern::policy {
namespace {

struct JsonStyle {
  bool slash, html;  // what is escaped besides what must be: "/", "<>&'"
};

std::string Json(std::string_view value, const JsonStyle& style) {
  std::string out;
  for (const char c : value) {
    if (style.html && std::string_view("<>&'").find(c) != std::string_view::npos) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
      continue;
    }
    if (c == '"' || c == '\\' || (style.slash && c == '/')) out += '\\';
    out += c;
  }
  return out;
}

std::string Html(std::string_view value, std::string_view apostrophe) {
  std::string out;
  for (const char c : value) {
    out += c == '&'    ? "&amp;"
           : c == '<'  ? "&lt;"
           : c == '>'  ? "&gt;"
           : c == '"'  ? "&quot;"
           : c == '\'' ? std::string(apostrophe)
                       : std::string(1, c);
  }
  return out;
}

}  // namespace

std::string Base64Inside(std::string_view bytes, size_t place, std::string_view alphabet) {
  const std::string all = Base64Digits(std::string(place, '\0') + std::string(bytes), alphabet);
  const size_t first = (place * 8 + 5) / 6;
  const size_t last = (place + bytes.size()) * 8 / 6;
  return all.substr(first, last - first);
}

std::vector<std::string> EscapedForms(std::string_view value) {
  std::vector<std::string> out;
  for (const bool slash : {false, true}) {
    for (const bool html : {false, true}) out.push_back(Json(value, {slash, html}));
  }
  for (const char* apostrophe : {"'", "&#39;", "&#x27;", "&apos;"}) {
    out.push_back(Html(value, apostrophe));
  }
  // encodeURIComponent's characters, a form's, RFC 3986's unreserved ones, and none.
  for (const std::string_view kept : {"-_.!~*'()", "*-._", "-._~", ""}) {
    out.push_back(PercentEncode(value, kept));
  }
  return out;
}

}  // namespace postern::policy
