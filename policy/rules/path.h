// Paths in rules: glob patterns, and every way in which a server might read the path of a URL.
//
// One server decodes "%2F", another does not; one takes "\" for "/", resolves "..", cuts ";…" off,
// merges "//", drops dots and blanks at the end of a name. A path is therefore read in all of these
// ways: a deny matches if any reading does, an allow only if all do, so that no spelling slips past
// a rule.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern::policy {

using Segments =
    std::vector<std::string>;  // decoded, without the slashes; a trailing slash is none

struct PathReadings {
  std::vector<Segments> all;  // at least one, each once
  // Of ordinary paths too, and so for denies alone: without the extension that some frameworks take
  // for a format ("/a.json"), without what follows a script ("/a.php/b").
  std::vector<Segments> for_denies;
  // No server's reading is sure: control characters, bytes that are no UTF-8, an encoding of
  // encodings of encodings, names of dots and blanks alone, unusual ones of over 4 KiB or 32 names,
  // and any of over 256 names. Denies match it and allows do not.
  bool opaque = false;
};

// `path` begins with '/' and is percent-encoded, as in Url::path.
PathReadings ReadPath(std::string_view path);

class PathPattern {
 public:
  // "/v1/**", "/files/*.json": "*" stands for any characters of one segment, "**" for any number
  // of segments, none among them.
  static Result<PathPattern> Parse(std::string_view text);
  bool Matches(const Segments& path, bool ignore_case) const;
  // Whether this surely matches whatever `narrower` matches; false also where it is hard to tell.
  bool Covers(const PathPattern& narrower) const;
  const std::string& text() const { return text_; }

 private:
  struct Part {
    bool any_depth = false;            // "**"
    std::vector<std::string> literal;  // what stands between the "*"
  };
  static bool SegmentMatches(const Part& part, std::string_view segment, bool ignore_case);
  static bool PartCovers(const Part& part, const Part& narrower);
  // Whether the parts can be laid over `items`, "**" over any number of them.
  template <typename Items, typename Fits>
  bool Spans(const Items& items, const Fits& fits) const;

  std::string text_;
  std::vector<Part> parts_;
};

}  // namespace postern::policy
