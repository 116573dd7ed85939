// StreamReplacer: texts exchanged for others in a stream of bytes, wherever its pieces are cut.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::policy {

// A text to look for, and what to put in its place.
struct Spelling {
  std::string text, replacement;
};

// Spellings in the order and with the index in which texts are searched for them.
class SpellingSet {
 public:
  SpellingSet(std::vector<Spelling> spellings);  // NOLINT(google-explicit-constructor)
  // The longest spelling that `text` begins with; null for none.
  const Spelling* At(std::string_view text) const;
  const std::vector<Spelling>& list() const { return list_; }  // the longest first

 private:
  std::vector<Spelling> list_;
  std::vector<bool> begins_ = std::vector<bool>(1 << 16);  // by two bytes: some spelling begins so
};

// Replaces in a stream of bytes. The last bytes that arrived are held back, always as many as the
// longest spelling has but one, whatever they are: how much is held tells nothing about a match.
class StreamReplacer {
 public:
  explicit StreamReplacer(std::shared_ptr<const SpellingSet> spellings);
  explicit StreamReplacer(std::vector<Spelling> spellings)
      : StreamReplacer(std::make_shared<const SpellingSet>(std::move(spellings))) {}
  // Takes `bytes`, and appends to `out` what is ready.
  void Feed(std::string_view bytes, std::string& out);
  // Appends what was held back.
  void Flush(std::string& out);

 private:
  void Replace(size_t until, std::string& out);

  std::shared_ptr<const SpellingSet> spellings_;
  size_t tail_;
  std::string held_;
};

}  // namespace postern::policy
