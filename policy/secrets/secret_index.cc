#include "policy/secrets/secret_index.h"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

#include "base/base64.h"
#include "base/text.h"
#include "policy/secrets/placeholder.h"
#include "policy/secrets/spellings.h"
#include "policy/secrets/unescape.h"

namespace postern::policy {
namespace {

// What goes with a block on either side, where the value may go on there.
constexpr uint8_t kAround = kBlock - 1;
constexpr uint8_t kBase64Around = 11;       // digits: seven bytes, and what they share with others
constexpr uint8_t kBase64TwiceAround = 16;  // the same, once more

// Besides letters and digits what words, tokens, paths and URLs consist of: the same for every
// secret, so that what goes with a block tells nothing of its value.
constexpr std::string_view kTokenCharacters = "-._~+/=:%@!$*#^|";

// Characters of `text` as SecretFilter reads them, with the escapes of `syntaxes` taken off one
// after the other; each with the bytes of `text` that it stands for.
std::vector<Glyph> Canonical(std::string_view text, std::initializer_list<Syntax> syntaxes) {
  std::vector<Glyph> glyphs;
  for (size_t i = 0; i < text.size(); ++i)
    glyphs.push_back({i, i + 1, static_cast<uint8_t>(text[i])});
  for (const Syntax syntax : syntaxes) {
    Unescaper unescaper(syntax);
    std::vector<Glyph> out;
    for (const Glyph& g : glyphs) unescaper.Push(g, out);
    unescaper.Flush(out);
    glyphs = std::move(out);
  }
  std::erase_if(glyphs, [](const Glyph& g) { return IsBlank(g.byte) || IsBreak(g.byte); });
  return glyphs;
}

// UTF-8 that was read as Latin-1 and written as UTF-8: what a header's value becomes in many a
// server's JSON.
std::vector<Glyph> TwiceUtf8(std::string_view text) {
  std::vector<Glyph> out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (IsBlank(byte)) continue;
    if (byte >= 0x80) out.push_back({i, i + 1, static_cast<uint8_t>(0xc0 | byte >> 6)});
    out.push_back({i, i + 1, static_cast<uint8_t>(byte < 0x80 ? byte : 0x80 | (byte & 0x3f))});
  }
  return out;
}

// Where blocks begin and end in `value`, its first one at 0.
std::vector<size_t> Bounds(std::string_view value) {
  std::vector<size_t> bounds = {0};
  size_t characters = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    if (IsBlank(static_cast<uint8_t>(value[i]))) continue;
    if (++characters % kBlock == 0) bounds.push_back(i + 1);
  }
  return bounds;
}

std::string Utf16(std::string_view text, bool big) {
  std::string out;
  for (const char c : text) out += big ? std::string("\0", 1) + c : c + std::string("\0", 1);
  return out;
}

BlockKey KeyOf(std::string_view characters) {
  BlockKey key = 0;
  for (const char c : characters) key = key << 8 | static_cast<uint8_t>(AsciiLower(c));
  return key;
}

std::string_view LastBlock(std::string_view text) {
  return text.substr(text.size() - std::min(text.size(), kBlock));
}

}  // namespace

SecretIndex::SecretIndex(const std::map<std::string, std::string>& secrets) {
  std::bitset<256> words;
  for (const char c : kBase64.substr(26, 36)) words.set(static_cast<uint8_t>(c));  // a-z, 0-9
  base64_ = words;
  for (const char c : {'+', '/', '-', '_'}) base64_.set(static_cast<uint8_t>(c));
  for (const char c : kTokenCharacters) words.set(static_cast<uint8_t>(c));
  for (const char c : {'}', ']', '"'}) closes_.set(static_cast<uint8_t>(c));
  for (const auto& [name, value] : secrets) {
    for (const char c : value) closes_.reset(static_cast<uint8_t>(c));
    secrets_.push_back({Placeholder(name), words});
    for (const char c : value) {
      secrets_.back().characters.set(static_cast<uint8_t>(AsciiLower(c)));
    }
    AddValue(static_cast<uint32_t>(secrets_.size() - 1), value);
  }
  Finish();
}

void SecretIndex::AddValue(uint32_t secret, const std::string& value) {
  using enum Syntax;
  const std::vector<size_t> bounds = Bounds(value);
  const std::vector<std::vector<Glyph>> texts = {Canonical(value, {}),
                                                 Canonical(value, {kForm}),
                                                 Canonical(value, {kBackslash}),
                                                 Canonical(value, {kHtml}),
                                                 Canonical(value, {kQuotedPrintable}),
                                                 TwiceUtf8(value),
                                                 Canonical(value, {kForm, kBackslash, kHtml})};
  for (const std::vector<Glyph>& glyphs : texts) AddText(secret, glyphs, bounds);
  // A short value of few characters but escapes is found as it is written too, as a whole.
  const bool few = std::any_of(texts.begin(), texts.end(),
                               [](const auto& glyphs) { return glyphs.size() < kBlock; });
  if (few) AddWholeForms(secret, value);
  AddBase64(secret, value, 1, bounds);
  AddBase64(secret, Utf16(value, false), 2, bounds);
  AddBase64(secret, Utf16(value, true), 2, bounds);
}

// Blocks end where they end in the value, and have what of the text lies in them; of fewer than
// eight characters as many as it takes from before them.
void SecretIndex::AddText(uint32_t secret, const std::vector<Glyph>& glyphs,
                          const std::vector<size_t>& bounds) {
  const size_t blocks = bounds.size() - 1;
  std::string text;
  for (const Glyph& g : glyphs) text += static_cast<char>(g.byte);
  size_t from = 0, until = 0;  // of what lies in the block
  bool first = true;
  for (size_t k = 0; k < blocks; ++k, from = until) {
    while (until < glyphs.size() && glyphs[until].end <= bounds[k + 1]) ++until;
    if (until < kBlock) continue;
    const size_t begin = std::min(from, until - kBlock);
    Add({.secret = secret,
         .before = static_cast<uint8_t>(std::min<size_t>(begin, kAround)),
         .after = kAround,
         .length = static_cast<uint16_t>(text.size()),
         .first = std::exchange(first, false),
         .last = k + 1 == blocks},
        std::string_view(text).substr(begin, until - begin), std::string_view(text).substr(until));
  }
}

void SecretIndex::AddWholeForms(uint32_t secret, const std::string& value) {
  for (const std::string& form : EscapedForms(value)) {
    std::string text;
    for (const Glyph& g : Canonical(form, {})) text += static_cast<char>(g.byte);
    if (text.size() > Block::kMaxWidth) continue;
    Add({.secret = secret,
         .length = static_cast<uint16_t>(text.size()),
         .first = true,
         .last = true},
        text, {});
  }
}

// `scale`: how many bytes stand for one of the value's.
void SecretIndex::AddBase64(uint32_t secret, std::string_view bytes, size_t scale,
                            const std::vector<size_t>& bounds) {
  const size_t blocks = bounds.size() - 1;
  for (size_t k = 0; k < blocks; ++k) {
    const size_t begin = bounds[k] * scale, end = bounds[k + 1] * scale;
    for (const std::string_view alphabet : {kBase64, kBase64Url}) {
      for (size_t place = 0; place < 3; ++place) {
        const std::string digits = Base64Inside(bytes.substr(begin, end - begin), place, alphabet);
        const bool last = k + 1 == blocks;
        const std::string rest = last ? Base64Inside(bytes.substr(begin), place, alphabet) : digits;
        const bool edge = (place + bytes.size() - begin) * 8 % 6 != 0;
        Block block = {.secret = secret,
                       .before = k == 0 ? static_cast<uint8_t>(place != 0) : kBase64Around,
                       .after = kBase64Around,
                       .length = static_cast<uint16_t>(bytes.size() * 4 / 3),
                       .first = k == 0,
                       .last = last,
                       .end = static_cast<uint8_t>(edge),
                       .base64 = true};
        Add(block, digits, std::string_view(rest).substr(digits.size()));
        if (scale != 1) continue;
        block.before = k == 0 ? 3 : kBase64TwiceAround;
        block.after = kBase64TwiceAround;
        block.length = static_cast<uint16_t>(bytes.size() * 16 / 9);
        block.end = 3;
        for (size_t outer = 0; outer < 3; ++outer) {
          const std::string twice = Base64Inside(digits, outer, alphabet);
          Add(block, twice,
              std::string_view(Base64Inside(rest, outer, alphabet)).substr(twice.size()));
        }
      }
    }
  }
}

// `characters`: a block, of which the last ones are looked for where it is wider than may be.
// `tail`: of the last block what follows.
void SecretIndex::Add(const Block& block, std::string_view characters, std::string_view tail) {
  if (characters.size() < kBlock) return;
  Block added = block;
  const size_t width = std::min(characters.size(), Block::kMaxWidth);
  characters.remove_prefix(characters.size() - width);
  added.width = static_cast<uint8_t>(width);
  for (size_t i = 0; i + kBlock < width; ++i) {
    added.front[i] = static_cast<uint8_t>(AsciiLower(characters[i]));
  }
  if (added.last) {
    added.tail = static_cast<uint8_t>(std::min<size_t>(tail.size(), 255));
    added.tail_key = KeyOf(LastBlock(tail));
    added.after = std::max(added.after, added.tail);
  }
  added_.emplace_back(KeyOf(LastBlock(characters)), added);
}

void SecretIndex::Finish() {
  const auto order = [](const auto& entry) {
    const auto& [key, b] = entry;
    // What ends a value has the last word on what follows it.
    return std::tuple(key, b.last, b.secret, b.width, b.front, b.before, b.after, b.length, b.first,
                      b.tail, b.end, b.tail_key, b.base64);
  };
  std::sort(added_.begin(), added_.end(),
            [&](const auto& a, const auto& b) { return order(a) < order(b); });
  added_.erase(std::unique(added_.begin(), added_.end(),
                           [&](const auto& a, const auto& b) { return order(a) == order(b); }),
               added_.end());
  // Of a value that repeats itself a block may be the first and another: nothing goes before it.
  for (const auto& [key, first] : std::vector(added_)) {
    if (!first.first) continue;
    const auto same =
        std::equal_range(added_.begin(), added_.end(), std::pair(key, Block{}),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto entry = same.first; entry != same.second; ++entry) {
      if (entry->second.secret == first.secret) {
        entry->second.before = std::min(entry->second.before, first.before);
      }
    }
  }
  const int bits = std::clamp(static_cast<int>(std::bit_width(added_.size())) + 6, 12, 24);
  may_hold_shift_ = 64 - bits;
  may_hold_.resize(size_t{1} << bits);
  for (const auto& [key, block] : added_) {
    keys_.push_back(key);
    blocks_.push_back(block);
    may_hold_[key * 0x9e3779b97f4a7c15U >> may_hold_shift_] = true;
  }
  added_ = {};
}

std::span<const SecretIndex::Block> SecretIndex::Lookup(BlockKey key) const {
  const auto [first, last] = std::equal_range(keys_.begin(), keys_.end(), key);
  return {blocks_.data() + (first - keys_.begin()), static_cast<size_t>(last - first)};
}

}  // namespace postern::policy
