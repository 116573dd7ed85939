#include "policy/path.h"

#include <algorithm>
#include <optional>
#include <span>

#include "policy/text.h"

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

// As servers tidy up: "\" is "/", empty segments and "." vanish, ".." takes one back.
Segments Tidy(std::string path, bool cut_parameters) {
  std::replace(path.begin(), path.end(), '\\', '/');
  Segments out;
  for (std::string& segment : Split(path)) {
    if (cut_parameters) segment.resize(std::min(segment.find(';'), segment.size()));
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      out.push_back(std::move(segment));
    } else if (!out.empty()) {
      out.pop_back();
    }
  }
  return out;
}

// Nothing in it could be read in more than one way.
bool IsPlain(std::string_view path) {
  if (path.find_first_of("%\\;") != std::string_view::npos) return false;
  if (path.find("//") != std::string_view::npos || path.find("/.") != std::string_view::npos) {
    return false;
  }
  return IsPrintableUtf8(path);
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
    return out;
  }
  const auto add = [&](Segments segments) {
    if (std::find(out.all.begin(), out.all.end(), segments) == out.all.end()) {
      out.all.push_back(std::move(segments));
    }
  };
  Segments each = Split(path);
  for (std::string& segment : each) segment = PercentDecode(segment);
  add(std::move(each));
  std::string text(path);
  for (int i = 0;; ++i) {
    std::string decoded = PercentDecode(text);
    if (decoded == text && i > 0) break;
    if (i == kMaxDecodings) {
      out.opaque = true;
      break;
    }
    text = std::move(decoded);
    add(Split(text));
    add(Tidy(text, false));
    add(Tidy(text, true));
  }
  if (!IsPrintableUtf8(text)) out.opaque = true;
  return out;
}

Result<PathPattern> PathPattern::Parse(std::string_view text) {
  const auto bad = [&](const std::string& why) {
    return Error{"path \"" + std::string(text) + "\": " + why};
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
