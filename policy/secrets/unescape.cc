#include "policy/secrets/unescape.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "base/characters.h"

namespace postern::policy {
namespace {

struct Match {
  enum class What {
    kMore,     // it may be an escape: what follows decides
    kText,     // the first byte is none's beginning
    kDecoded,  // the first `consumed` bytes are an escape, and mean `bytes`
    kAgain,    // they mean the byte that begins an escape, and begin one
  };
  What what = What::kText;
  size_t consumed = 0;
  std::string bytes;
};

Match Text() { return {}; }
Match More() { return {Match::What::kMore, 0, {}}; }
Match Decoded(size_t consumed, std::string bytes) {
  return {Match::What::kDecoded, consumed, std::move(bytes)};
}
Match Again(size_t consumed) { return {Match::What::kAgain, consumed, {}}; }

std::string Utf8(uint32_t point) {
  std::string out;
  AppendUtf8(out, point);
  return out;
}

// Exactly `count` hexadecimal digits at `at`; nullopt where they are none, and `more` where the
// text ends before.
std::optional<uint32_t> Hex(std::string_view text, size_t at, size_t count, bool& more) {
  uint32_t value = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (i >= text.size()) {
      more = true;
      return std::nullopt;
    }
    const int digit = HexDigit(text[i]);
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<uint32_t>(digit);
  }
  return value;
}

Match Percent(std::string_view text) {
  if (text.size() < 2) return More();
  bool more = false;
  if (text[1] == 'u' || text[1] == 'U') {
    const auto unit = Hex(text, 2, 4, more);
    return unit ? Decoded(6, Utf8(*unit)) : more ? More() : Text();
  }
  const auto byte = Hex(text, 1, 2, more);
  if (!byte) return more ? More() : Text();
  return *byte == '%' ? Again(3) : Decoded(3, std::string(1, static_cast<char>(*byte)));
}

// \uXXXX, and the second half of a pair after it.
Match Unit(std::string_view text) {
  bool more = false;
  if (text.size() > 2 && text[2] == '{') {
    uint32_t point = 0;
    for (size_t i = 3; i < text.size() && i < 12; ++i) {
      if (text[i] == '}') return Decoded(i + 1, Utf8(point));
      const int digit = HexDigit(text[i]);
      if (digit < 0) return Decoded(1, {});
      point = point << 4 | static_cast<uint32_t>(digit);
    }
    return text.size() < 12 ? More() : Decoded(1, {});
  }
  const auto unit = Hex(text, 2, 4, more);
  if (!unit) return more ? More() : Decoded(1, {});
  if (*unit < 0xd800 || *unit > 0xdbff) return Decoded(6, Utf8(*unit));
  if (text.size() < 8 && std::string_view("\\u").starts_with(text.substr(6))) return More();
  if (text.substr(6, 2) != "\\u") return Decoded(6, Utf8(*unit));
  const auto second = Hex(text, 8, 4, more);
  if (!second && more) return More();
  if (!second || *second < 0xdc00 || *second > 0xdfff) return Decoded(6, Utf8(*unit));
  return Decoded(12, Utf8(0x10000 + ((*unit & 0x3ff) << 10) + (*second & 0x3ff)));
}

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// A backslash that begins nothing known is dropped: it quotes what follows.
Match Backslash(std::string_view text) {
  if (text.size() < 2) return More();
  bool more = false;
  switch (text[1]) {
    case '\\':
      return Again(2);
    case 'u':
      return Unit(text);
    case 'U': {
      const auto point = Hex(text, 2, 8, more);
      return point ? Decoded(10, Utf8(*point)) : more ? More() : Decoded(1, {});
    }
    case 'x': {
      const auto byte = Hex(text, 2, 2, more);
      if (!byte) return more ? More() : Decoded(1, {});
      return Decoded(4, std::string(1, static_cast<char>(*byte)));
    }
    case 'n':
    case 'r':
    case 'f':
    case 'v':
      return Decoded(2, "\n");
    case 't':
      return Decoded(2, " ");
    default:
      break;
  }
  if (!IsOctal(text[1])) return Decoded(1, {});
  if (text.size() < 3) return More();
  if (!IsOctal(text[2])) return Decoded(1, {});
  if (text.size() < 4) return More();
  if (!IsOctal(text[3])) return Decoded(1, {});
  const int byte = (text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0');
  return Decoded(4, std::string(1, static_cast<char>(byte)));
}

// HTML's names of ASCII characters (the standard's section 13.5).
constexpr std::pair<std::string_view, char> kNames[] = {
    {"Hat", '^'},    {"NewLine", '\n'}, {"Tab", '\t'},   {"UnderBar", '_'}, {"VerticalLine", '|'},
    {"apos", '\''},  {"ast", '*'},      {"bsol", '\\'},  {"colon", ':'},    {"comma", ','},
    {"commat", '@'}, {"dollar", '$'},   {"equals", '='}, {"excl", '!'},     {"grave", '`'},
    {"gt", '>'},     {"hyphen", '-'},   {"lbrace", '{'}, {"lbrack", '['},   {"lcub", '{'},
    {"lowbar", '_'}, {"lpar", '('},     {"lsqb", '['},   {"lt", '<'},       {"midast", '*'},
    {"nbsp", ' '},   {"shy", '\n'},     {"num", '#'},    {"percnt", '%'},   {"period", '.'},
    {"plus", '+'},   {"quest", '?'},    {"quot", '"'},   {"rbrace", '}'},   {"rbrack", ']'},
    {"rcub", '}'},   {"rpar", ')'},     {"rsqb", ']'},   {"semi", ';'},     {"sol", '/'},
    {"verbar", '|'}, {"vert", '|'},     {"GT", '>'},     {"LT", '<'},       {"QUOT", '"'},
    {"AMP", '&'},    {"amp", '&'},
};
constexpr size_t kLongestName = 12, kMostDigits = 8;

Match Numeric(std::string_view text) {
  const bool hex = text.size() > 2 && (text[2] == 'x' || text[2] == 'X');
  const size_t first = hex ? 3 : 2;
  uint32_t point = 0;
  size_t i = first;
  for (; i < text.size() && i < first + kMostDigits; ++i) {
    const int digit = HexDigit(text[i]);
    if (digit < 0 || (!hex && digit > 9)) break;
    point = point * (hex ? 16 : 10) + static_cast<uint32_t>(digit);
  }
  if (i == text.size()) return More();
  const bool longer = i == first + kMostDigits && HexDigit(text[i]) >= 0;
  if (i == first || longer) return Text();
  const size_t consumed = text[i] == ';' ? i + 1 : i;
  return point == '&' ? Again(consumed) : Decoded(consumed, Utf8(point));
}

Match Html(std::string_view text) {
  if (text.size() < 2) return More();
  if (text[1] == '#') return text.size() < 3 ? More() : Numeric(text);
  size_t i = 1;
  while (i < text.size() && i <= kLongestName &&
         ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z'))) {
    ++i;
  }
  if (i == text.size() && i <= kLongestName) return More();
  if (i == text.size() || text[i] != ';') return Text();
  const auto* name = std::find_if(std::begin(kNames), std::end(kNames), [&](const auto& known) {
    return known.first == text.substr(1, i - 1);
  });
  if (name == std::end(kNames)) return Text();
  return name->second == '&' ? Again(i + 1) : Decoded(i + 1, std::string(1, name->second));
}

Match SoftBreak(std::string_view text) {
  if (text.size() < 2) return More();
  if (text[1] == '\n') return Decoded(2, "\n");
  if (text[1] != '\r') return Text();
  if (text.size() < 3) return More();
  return Decoded(text[2] == '\n' ? 3 : 2, "\n");
}

Match QuotedPrintable(std::string_view text) {
  const Match soft_break = SoftBreak(text);
  if (soft_break.what != Match::What::kText) return soft_break;
  bool more = false;
  const auto byte = Hex(text, 1, 2, more);
  if (!byte) return more ? More() : Text();
  return *byte == '=' ? Again(3) : Decoded(3, std::string(1, static_cast<char>(*byte)));
}

// U+0085, U+00A0, U+00AD; U+2000 to U+200F, U+2028 to U+202F, U+205F to U+206F; U+3000; U+FEFF.
Match Invisible(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (text.size() < 2) return More();
  if (at(0) == 0xc2) {
    const bool is = at(1) == 0x85 || at(1) == 0xa0 || at(1) == 0xad;
    return is ? Decoded(2, "\n") : Text();
  }
  if (text.size() < 3) return at(1) >= 0x80 ? More() : Text();
  const uint32_t point = (at(0) & 0x0fU) << 12 | (at(1) & 0x3fU) << 6 | (at(2) & 0x3fU);
  const bool is = (point >= 0x2000 && point <= 0x200f) || (point >= 0x2028 && point <= 0x202f) ||
                  (point >= 0x205f && point <= 0x206f) || point == 0x3000 || point == 0xfeff;
  return is ? Decoded(3, "\n") : Text();
}

Match MatchOf(Syntax syntax, std::string_view text) {
  switch (syntax) {
    case Syntax::kPercent:
      return Percent(text);
    case Syntax::kForm:
      return text[0] == '+' ? Decoded(1, " ") : Percent(text);
    case Syntax::kBackslash:
      return Backslash(text);
    case Syntax::kHtml:
      return Html(text);
    case Syntax::kSoftBreak:
      return SoftBreak(text);
    case Syntax::kQuotedPrintable:
      return QuotedPrintable(text);
    case Syntax::kInvisible:
      return Invisible(text);
  }
  return Text();
}

}  // namespace

bool Introduces(Syntax syntax, uint8_t byte) {
  switch (syntax) {
    case Syntax::kPercent:
      return byte == '%';
    case Syntax::kForm:
      return byte == '%' || byte == '+';
    case Syntax::kBackslash:
      return byte == '\\';
    case Syntax::kHtml:
      return byte == '&';
    case Syntax::kSoftBreak:
    case Syntax::kQuotedPrintable:
      return byte == '=';
    case Syntax::kInvisible:
      return byte == 0xc2 || byte == 0xe2 || byte == 0xe3 || byte == 0xef;
  }
  return false;
}

void Unescaper::Push(const Glyph& glyph, std::vector<Glyph>& out) {
  if (pending_.empty() && !Introduces(syntax_, glyph.byte)) {
    out.push_back(glyph);
    return;
  }
  pending_.push_back(glyph);
  Run(false, out);
}

void Unescaper::Flush(std::vector<Glyph>& out) { Run(true, out); }

void Unescaper::Run(bool end, std::vector<Glyph>& out) {
  std::string text;
  for (const Glyph& g : pending_) text += static_cast<char>(g.byte);
  size_t at = 0;  // up to where all is out
  const auto flush_until = [&](size_t n) {
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(n));
  };
  while (at < pending_.size()) {
    if (!Introduces(syntax_, pending_[at].byte)) {
      out.push_back(pending_[at++]);
      continue;
    }
    Match match = MatchOf(syntax_, std::string_view(text).substr(at));
    if (match.what == Match::What::kMore && !end) break;
    if (match.what == Match::What::kMore || match.what == Match::What::kText) {
      out.push_back(pending_[at++]);
      continue;
    }
    const size_t last = at + match.consumed - 1;
    if (match.what == Match::What::kDecoded) {
      for (const char c : match.bytes) {
        out.push_back({pending_[at].begin, pending_[last].end, static_cast<uint8_t>(c)});
      }
      at = last + 1;
      continue;
    }
    // kAgain: one glyph now, which stands for all of them.
    const Glyph one = {pending_[at].begin, pending_[last].end, pending_[at].byte};
    if (layers_ == EscapeLayers::kOne) {
      out.push_back(one);
      at = last + 1;
      continue;
    }
    pending_[last] = one;
    text[last] = text[at];
    at = last;
  }
  flush_until(at);
}

}  // namespace postern::policy
