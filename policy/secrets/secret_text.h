// Secrets in text on its way out: their placeholders, and what stands in their place. What comes
// back is secrets/secret_filter.h's.
#pragma once

#include <map>
#include <memory>
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
