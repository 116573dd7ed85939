#include "policy/secrets/secret_text.h"

#include <algorithm>

#include "base/base64.h"
#include "base/text.h"

namespace postern::policy {
namespace {

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

std::string SubstituteSecrets(std::string_view text,
                              const std::map<std::string, std::string>& secrets,
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
  const std::string put = SubstituteSecrets(*credentials, secrets, names, false);
  if (put == *credentials) return out;
  return out.substr(0, kBasic.size()) + EncodeBase64(put);
}

bool NamesHoldPlaceholder(std::string_view pairs, std::string_view separators) {
  while (!pairs.empty()) {
    const size_t end = std::min(pairs.find_first_of(separators), pairs.size());
    const std::string_view pair = pairs.substr(0, end);
    // What has no value is one, for some, and a name for others.
    const std::string_view name = pair.substr(0, pair.find('='));
    if (CountPlaceholders(name) > 0) return true;
    pairs.remove_prefix(std::min(end + 1, pairs.size()));
  }
  return false;
}

size_t CountPlaceholders(std::string_view text) {
  constexpr std::string_view kBegins = "postern-secret-", kBasic = "basic ";
  size_t count = 0;
  for (size_t at = text.find(kBegins); at != std::string_view::npos;
       at = text.find(kBegins, at + kBegins.size())) {
    ++count;
  }
  if (!EqualsIgnoringCase(text.substr(0, kBasic.size()), kBasic)) return count;
  const auto credentials = DecodeBase64(text.substr(kBasic.size()));
  return credentials ? count + CountPlaceholders(*credentials) : count;
}

std::string ExpandSecrets(std::string_view text,
                          const std::map<std::string, std::string>& secrets) {
  std::string out(text);
  for (const auto& [name, value] : secrets) out = Exchange(out, "${secret:" + name + "}", value);
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

}  // namespace postern::policy
