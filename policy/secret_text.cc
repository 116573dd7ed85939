#include "policy/secret_text.h"

#include <algorithm>
#include <cstdint>

#include "base/base64.h"
#include "policy/text.h"

namespace postern::policy {
namespace {

constexpr std::string_view kLowerHex = "0123456789abcdef";

// The base64 digits that only `value` decides when `before` bytes stand before it.
std::string Base64Inside(std::string_view value, size_t before, std::string_view alphabet) {
  const std::string all = Base64Digits(std::string(before, '\0') + std::string(value), alphabet);
  const size_t first = (before * 8 + 5) / 6;
  const size_t last = (before + value.size()) * 8 / 6;
  return all.substr(first, last - first);
}

void AppendHex(std::string& out, char c, std::string_view digits) {
  const auto byte = static_cast<unsigned char>(c);
  out += digits[byte >> 4];
  out += digits[byte & 15];
}

void AppendEscape(std::string& out, uint32_t unit, std::string_view digits) {
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) out += digits[unit >> shift & 15];
}

struct JsonStyle {
  bool slash, html, ascii;  // what is escaped besides what must be: "/", "<>&'", all beyond ASCII
  std::string_view digits;
};

// `value` is well-formed UTF-8 without control characters.
std::string Json(std::string_view value, const JsonStyle& style) {
  std::string out;
  for (size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    const auto lead = static_cast<unsigned char>(c);
    if (lead >= 0x80 && style.ascii) {
      const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
      uint32_t point = lead & (0x3f >> more);
      for (int k = 0; k < more; ++k) point = point << 6 | (value[++i] & 0x3f);
      if (point >= 0x10000) {
        AppendEscape(out, 0xd7c0 + (point >> 10), style.digits);
        point = 0xdc00 | (point & 0x3ff);
      }
      AppendEscape(out, point, style.digits);
    } else if (style.html && std::string_view("<>&'").find(c) != std::string_view::npos) {
      AppendEscape(out, lead, style.digits);
    } else {
      if (c == '"' || c == '\\' || (style.slash && c == '/')) out += '\\';
      out += c;
    }
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

std::string Hex(std::string_view value, std::string_view digits) {
  std::string out;
  for (const char c : value) AppendHex(out, c, digits);
  return out;
}

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

std::string Placeholder(std::string_view name) {
  return "postern-secret-" + std::string(name) + "-";
}

std::string PutSecretsIn(std::string_view text, const std::map<std::string, std::string>& secrets,
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
  const std::string put = PutSecretsIn(*credentials, secrets, names, false);
  if (put == *credentials) return out;
  return out.substr(0, kBasic.size()) + EncodeBase64(put);
}

std::string ExpandSecrets(std::string_view text,
                          const std::map<std::string, std::string>& secrets) {
  std::string out(text);
  for (const auto& [name, value] : secrets) out = Exchange(out, "${secret:" + name + "}", value);
  return out;
}

std::vector<Spelling> Spellings(std::string_view name, std::string_view value) {
  std::vector<std::string> texts = {std::string(value), Hex(value, kUpperHex),
                                    Hex(value, kLowerHex)};
  for (int style = 0; style < 16; ++style) {
    texts.push_back(Json(value, {(style & 1) != 0, (style & 2) != 0, (style & 4) != 0,
                                 (style & 8) != 0 ? kUpperHex : kLowerHex}));
  }
  for (const char* apostrophe : {"'", "&#39;", "&#x27;", "&apos;"}) {
    texts.push_back(Html(value, apostrophe));
  }
  // encodeURIComponent's characters, a form's, and RFC 3986's unreserved ones.
  for (const std::string_view kept : {"-_.!~*'()", "*-._", "-._~", ""}) {
    for (const std::string_view digits : {kUpperHex, kLowerHex}) {
      texts.push_back(PercentEncode(value, kept, digits));
      texts.push_back(Exchange(texts.back(), "%20", "+"));  // as forms write a space
    }
  }
  for (const std::string_view alphabet : {kBase64, kBase64Url}) {
    for (size_t before = 0; before < 3; ++before) {
      texts.push_back(Base64Inside(value, before, alphabet));
    }
  }
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  std::vector<Spelling> out;
  out.reserve(texts.size());
  for (std::string& text : texts) out.push_back({std::move(text), Placeholder(name)});
  return out;
}

namespace {

size_t FirstTwo(std::string_view text) {
  return static_cast<size_t>(static_cast<unsigned char>(text[0])) << 8 |
         static_cast<unsigned char>(text[1]);
}

// Appends what begins in `text` before `until`, with the leftmost match replaced each time, and of
// several there the longest. Returns up to where `text` is done: beyond `until` after a match.
size_t Replaced(std::string_view text, size_t until, const SpellingSet& spellings,
                std::string& out) {
  size_t at = 0, plain = 0;  // `plain`: from where nothing is appended yet
  while (at < until) {
    const Spelling* found = spellings.At(text.substr(at));
    if (found == nullptr) {
      ++at;
      continue;
    }
    out.append(text, plain, at - plain).append(found->replacement);
    plain = at += found->text.size();
  }
  out.append(text, plain, at - plain);
  return at;
}

}  // namespace

SpellingSet::SpellingSet(std::vector<Spelling> spellings) : list_(std::move(spellings)) {
  std::stable_sort(list_.begin(), list_.end(), [](const Spelling& a, const Spelling& b) {
    return a.text.size() > b.text.size();
  });
  for (const Spelling& s : list_) begins_[FirstTwo(s.text)] = true;
}

const Spelling* SpellingSet::At(std::string_view text) const {
  if (text.size() < 2 || !begins_[FirstTwo(text)]) return nullptr;
  for (const Spelling& s : list_) {
    if (text.starts_with(s.text)) return &s;
  }
  return nullptr;
}

StreamReplacer::StreamReplacer(std::shared_ptr<const SpellingSet> spellings)
    : spellings_(std::move(spellings)),
      tail_(spellings_->list().empty() ? 0 : spellings_->list().front().text.size() - 1) {}

void StreamReplacer::Feed(std::string_view bytes, std::string& out) {
  held_ += bytes;
  if (held_.size() > tail_) Replace(held_.size() - tail_, out);
}

void StreamReplacer::Flush(std::string& out) { Replace(held_.size(), out); }

void StreamReplacer::Replace(size_t until, std::string& out) {
  held_.erase(0, Replaced(held_, until, *spellings_, out));
}

std::string ReplaceAll(std::string_view text, const SpellingSet& spellings) {
  std::string out;
  Replaced(text, text.size(), spellings, out);
  return out;
}

}  // namespace postern::policy
