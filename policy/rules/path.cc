#include "policy/rules/path.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

#include "base/characters.h"
#include "base/format.h"
#include "base/text.h"

namespace postern::policy {
namespace {

constexpr int kMaxDecodings = 4;

Segments Split(std::string_view path) {
  Segments out;
  path.remove_prefix(std::min<size_t>(path.size(), 1));
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    out.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  while (!out.empty() && out.back().empty()) out.pop_back();
  return out;
}

constexpr size_t kMaxUnusual = 4 * 1024;  // bytes of a path that has several readings
// Names in a path, and in one that has several readings: each may be matched with thousands of
// patterns, while others wait.
constexpr size_t kMaxNames = 256, kMaxUnusualNames = 32;

// %uXXXX as IIS and ASP decode it.
std::string DecodeUnits(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool unit = text[i] == '%' && i + 5 < text.size() && AsciiLower(text[i + 1]) == 'u' &&
                      std::all_of(text.begin() + static_cast<ptrdiff_t>(i) + 2,
                                  text.begin() + static_cast<ptrdiff_t>(i) + 6,
                                  [](char c) { return HexDigit(c) >= 0; });
    if (!unit) {
      out += text[i];
      continue;
    }
    uint32_t point = 0;
    for (size_t k = 2; k < 6; ++k)
      point = point << 4 | static_cast<uint32_t>(HexDigit(text[i + k]));
    AppendUtf8(out, point);
    i += 5;
  }
  return out;
}

// What a server that normalises Unicode (NFKC, Windows' best fit) takes a character for; 0: nothing
// at all, and the character itself where it stays. UTF-8 of three bytes at most.
uint32_t Folded(uint32_t point) {
  if (point >= 0xff01 && point <= 0xff5e) return point - 0xff01 + '!';  // full width
  switch (point) {
    case 0x017f:
      return 's';
    case 0x0130:
    case 0x0131:
      return 'i';
    case 0x212a:
      return 'k';
    case 0x00a5:  // as code pages for Japanese and Korean have "\\"
    case 0x20a9:
      return '\\';
    case 0x2024:
    case 0xfe52:
    case 0x3002:
    case 0xff61:
      return '.';
    case 0x2044:
    case 0x2215:
    case 0x29f8:
      return '/';
    case 0xfe68:
    case 0x2216:
    case 0x29f5:
      return '\\';
    case 0x00a0:
    case 0x1680:
    case 0x202f:
    case 0x205f:
    case 0x3000:
      return ' ';
    case 0x00ad:
    case 0x2060:
    case 0xfeff:
      return 0;
    default:
      if (point >= 0x2000 && point <= 0x200a) return ' ';
      if (point >= 0x200b && point <= 0x200f) return 0;
      return point;
  }
}

std::string Fold(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; })) {
    return std::string(text);
  }
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t size = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 1;
    if (size == 1 || i + size > text.size()) {
      out += text[i++];
      continue;
    }
    uint32_t point = lead & (0x7f >> size);
    for (size_t k = 1; k < size; ++k) {
      point = point << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3f);
    }
    const uint32_t folded = Folded(point);
    const bool dots = point == 0x2025 || point == 0x2026 || point == 0xfe30;  // "..", "..."
    if (dots) {
      out += point == 0x2026 ? "..." : "..";
    } else if (folded != 0) {
      AppendUtf8(out, folded);
    }
    i += size;
  }
  return out;
}

// How much servers tidy up.
struct Tidying {
  bool parameters;  // ";…" is cut off
  bool ends;        // so are dots and blanks at a name's end, as Windows does
};

constexpr std::string_view kEnds = ". ";

// "\" is "/", empty segments and "." vanish, ".." takes one back.
Segments Tidy(std::string path, const Tidying& tidying) {
  std::replace(path.begin(), path.end(), '\\', '/');
  Segments out;
  for (std::string& segment : Split(path)) {
    if (tidying.parameters) segment.resize(std::min(segment.find(';'), segment.size()));
    if (tidying.ends && segment != "..") segment.resize(segment.find_last_not_of(kEnds) + 1);
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      out.push_back(std::move(segment));
    } else if (!out.empty()) {
      out.pop_back();
    }
  }
  return out;
}

// Names of dots and blanks alone, which Windows' versions read differently.
bool HasDotsAlone(std::string_view path) {
  const Segments segments = Split(path);
  return std::any_of(segments.begin(), segments.end(), [](const std::string& segment) {
    const std::string_view s = std::string_view(segment).substr(0, segment.find(';'));
    return !s.empty() && s != "." && s != ".." && s.find_first_not_of(kEnds) == std::string::npos;
  });
}

// Nothing in it could be read in more than one way.
bool IsPlain(std::string_view path) {
  if (path.find_first_of("%\\;") != std::string_view::npos) return false;
  for (const std::string_view odd : {"//", "/.", "./", " /"}) {
    if (path.find(odd) != std::string_view::npos) return false;
  }
  if (path.ends_with('.') || path.ends_with(' ')) return false;
  return std::all_of(path.begin(), path.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

// Adds each once.
void Add(std::vector<Segments>& to, Segments segments) {
  if (std::find(to.begin(), to.end(), segments) == to.end()) to.push_back(std::move(segments));
}

bool IsScript(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  const std::string extension = AsciiLower(name.substr(dot + 1));
  for (const std::string_view known :
       {"php", "phtml", "cgi", "fcgi", "pl", "py", "rb", "asp", "aspx", "ashx", "asmx", "jsp",
        "jspx", "do", "action", "cfm"}) {
    if (extension == known) return true;
  }
  return false;
}

// What only denies need to know of a reading.
void AddForDenies(const Segments& read, std::vector<Segments>& out) {
  // All before the name at `i`, and `name` in its place.
  const auto until = [&](size_t i, std::string_view name) {
    Segments segments(read.begin(), read.begin() + static_cast<ptrdiff_t>(i));
    segments.emplace_back(name);
    return segments;
  };
  for (size_t i = 0; i < read.size(); ++i) {
    const std::string_view name = read[i];
    const bool last = i + 1 == read.size();
    const size_t dot = name.rfind('.');
    // "/a.json" is "/a" in the format json, "/a.php/b" the script "/a.php".
    if (last && dot != std::string_view::npos && dot > 0) Add(out, until(i, name.substr(0, dot)));
    if (!last && IsScript(name)) {
      Add(out, until(i, name));
      // A front controller takes what follows it for the path: "/index.php/a" is "/a".
      Add(out, Segments(read.begin() + static_cast<ptrdiff_t>(i) + 1, read.end()));
    }
    // "/(S(x))/a" is "/a" to ASP.NET without cookies.
    if (name.starts_with('(') && name.ends_with(')')) {
      Segments other(read.begin(), read.begin() + static_cast<ptrdiff_t>(i));
      other.insert(other.end(), read.begin() + static_cast<ptrdiff_t>(i) + 1, read.end());
      Add(out, std::move(other));
    }
    // "a::$DATA" is a stream of the file "a" (NTFS).
    const size_t stream = std::min(name.find("::"), name.find(":$"));
    if (stream != std::string_view::npos) Add(out, until(i, name.substr(0, stream)));
    // "a+" is "a " where "+" is decoded as in forms, and blanks at the end go.
    if (!name.ends_with('+')) continue;
    Segments other = until(i, name.substr(0, name.find_last_not_of("+. ") + 1));
    other.insert(other.end(), read.begin() + static_cast<ptrdiff_t>(i) + 1, read.end());
    Add(out, std::move(other));
  }
}

bool Same(char a, char b, bool ignore_case) {
  return ignore_case ? AsciiLower(a) == AsciiLower(b) : a == b;
}

bool StartsWith(std::string_view text, std::string_view with, bool ignore_case) {
  return text.size() >= with.size() &&
         std::equal(with.begin(), with.end(), text.begin(),
                    [&](char a, char b) { return Same(a, b, ignore_case); });
}

}  // namespace

PathReadings ReadPath(std::string_view path) {
  PathReadings out;
  if (IsPlain(path)) {
    out.all.push_back(Split(path));
    out.opaque = out.all.front().size() > kMaxNames;
    if (!out.opaque && path.find_first_of(".:+(") != std::string_view::npos) {
      AddForDenies(out.all.front(), out.for_denies);
    }
    return out;
  }
  Segments each = Split(path);
  for (std::string& segment : each) segment = PercentDecode(segment);
  const bool long_one = path.size() > kMaxUnusual || each.size() > kMaxUnusualNames;
  Add(out.all, std::move(each));
  if (long_one) {
    out.opaque = true;
    return out;
  }
  const auto read = [&](const std::string& text) {
    Add(out.all, Split(text));
    for (const bool parameters : {false, true}) {
      for (const bool ends : {false, true}) Add(out.all, Tidy(text, {parameters, ends}));
    }
    out.opaque = out.opaque || HasDotsAlone(text);
  };
  std::string text(path);
  for (int i = 0;; ++i) {
    std::string decoded = PercentDecode(DecodeUnits(text));
    if (decoded == text && i > 0) break;
    if (i == kMaxDecodings) {
      out.opaque = true;
      break;
    }
    text = std::move(decoded);
    const std::string folded = Fold(text);
    read(text);
    if (folded != text) read(folded);
    // A decoded "?" or "#" ends the path where a server builds a URL anew.
    if (const size_t end = folded.find_first_of("?#"); end != std::string::npos) {
      read(folded.substr(0, end));
    }
  }
  if (!IsPrintableUtf8(text)) out.opaque = true;
  for (const Segments& segments : out.all) AddForDenies(segments, out.for_denies);
  return out;
}

Result<PathPattern> PathPattern::Parse(std::string_view text) {
  const auto bad = [&](const std::string& why) {
    return Error{fmt::format("path \"{}\": {}", text, why)};
  };
  if (!text.starts_with('/')) return bad("a path begins with \"/\", as in /v1/**");
  if (text.find_first_of("?#") != std::string_view::npos) {
    return bad("a path has no query and no fragment; write a literal \"?\" as %3F");
  }
  if (text.find('\\') != std::string_view::npos)
    return bad("\"\\\" separates nothing; write \"/\"");
  PathPattern pattern;
  pattern.text_ = text;
  for (const std::string& segment : Split(text)) {
    if (segment.empty()) return bad("an empty segment (\"//\") matches nothing");
    if (segment == "**") {
      pattern.parts_.push_back({.any_depth = true});
      continue;
    }
    if (segment.find("**") != std::string::npos) {
      return bad("\"**\" stands alone between slashes; \"*\" is for a part of a segment");
    }
    Part part;
    for (size_t at = 0; at <= segment.size();) {
      const size_t star = std::min(segment.find('*', at), segment.size());
      part.literal.push_back(PercentDecode(segment.substr(at, star - at)));
      at = star + 1;
      if (part.literal.back().find_first_of("/\\") != std::string::npos) {
        return bad("an encoded slash or backslash is none of its segment's characters");
      }
      if (!IsPrintableUtf8(part.literal.back())) {
        return bad("control characters, and bytes that are no UTF-8, match nothing");
      }
    }
    if (part.literal.size() == 1 && (part.literal[0] == "." || part.literal[0] == "..")) {
      return bad("\".\" and \"..\" are resolved before a path is matched; leave them out");
    }
    pattern.parts_.push_back(std::move(part));
  }
  return pattern;
}

bool PathPattern::SegmentMatches(const Part& part, std::string_view segment, bool ignore_case) {
  const auto& literal = part.literal;
  if (literal.size() == 1) {
    return literal[0].size() == segment.size() && StartsWith(segment, literal[0], ignore_case);
  }
  if (!StartsWith(segment, literal.front(), ignore_case)) return false;
  segment.remove_prefix(literal.front().size());
  const std::string& last = literal.back();
  if (segment.size() < last.size()) return false;
  if (!StartsWith(segment.substr(segment.size() - last.size()), last, ignore_case)) return false;
  segment.remove_suffix(last.size());
  for (const std::string& piece : std::span(literal).subspan(1, literal.size() - 2)) {
    // The leftmost place leaves the most for what follows.
    while (!StartsWith(segment, piece, ignore_case)) {
      if (segment.empty()) return false;
      segment.remove_prefix(1);
    }
    segment.remove_prefix(piece.size());
  }
  return true;
}

template <typename Items, typename Fits>
bool PathPattern::Spans(const Items& items, const Fits& fits) const {
  size_t p = 0, s = 0;
  std::optional<std::pair<size_t, size_t>> back;  // after the last "**": its next try
  while (s < items.size()) {
    if (p < parts_.size() && parts_[p].any_depth) {
      back = {++p, s};
    } else if (p < parts_.size() && fits(parts_[p], items[s])) {
      ++p, ++s;
    } else if (back) {
      p = back->first;
      s = ++back->second;
    } else {
      return false;
    }
  }
  while (p < parts_.size() && parts_[p].any_depth) ++p;
  return p == parts_.size();
}

bool PathPattern::Matches(const Segments& path, bool ignore_case) const {
  return Spans(path, [&](const Part& part, const std::string& segment) {
    return SegmentMatches(part, segment, ignore_case);
  });
}

bool PathPattern::PartCovers(const Part& part, const Part& narrower) {
  if (narrower.any_depth) return false;  // only "**" covers that
  if (narrower.literal.size() == 1) return SegmentMatches(part, narrower.literal[0], false);
  const bool any = part.literal == std::vector<std::string>{"", ""};
  return any || part.literal == narrower.literal;
}

bool PathPattern::Covers(const PathPattern& narrower) const {
  return Spans(narrower.parts_, PartCovers);
}

}  // namespace postern::policy
