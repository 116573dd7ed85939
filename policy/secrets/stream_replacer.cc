#include "policy/secrets/stream_replacer.h"

#include <algorithm>

namespace postern::policy {
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

}  // namespace postern::policy
