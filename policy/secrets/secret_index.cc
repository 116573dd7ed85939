#include "policy/secrets/secret_index.h"

#include <algorithm>
#include <bit>
#include <set>
#include <tuple>

#include "base/base64.h"
#include "policy/secret_text.h"
#include "policy/secrets/spellings.h"
#include "policy/secrets/unescape.h"
#include "policy/text.h"

namespace postern::policy {
namespace {

constexpr size_t kBase64KeyBits = kBlock * 6;

// `text` as SecretFilter reads it, with the escapes of `syntaxes` taken off one after the other.
std::string Canonical(std::string_view text, std::initializer_list<Syntax> syntaxes) {
  std::vector<Glyph> glyphs;
  glyphs.reserve(text.size());
  for (const char c : text) glyphs.push_back({0, 0, static_cast<uint8_t>(c)});
  for (const Syntax syntax : syntaxes) {
    Unescaper unescaper(syntax);
    std::vector<Glyph> out;
    for (const Glyph& g : glyphs) unescaper.Push(g, out);
    unescaper.Flush(out);
    glyphs = std::move(out);
  }
  std::string canonical;
  for (const Glyph& g : glyphs) {
    if (IsBlank(g.byte) || IsBreak(g.byte)) continue;
    canonical += AsciiLower(static_cast<char>(g.byte));
  }
  return canonical;
}

// UTF-8 that was read as Latin-1 and written as UTF-8: what a header's value becomes in many a
// server's JSON.
std::string TwiceUtf8(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xc0 | byte >> 6);
      out += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return out;
}

size_t CeilDivide(size_t a, size_t b) { return (a + b - 1) / b; }

// Where blocks of a text of `size` characters begin.
std::set<size_t> BlockOffsets(size_t size) {
  std::set<size_t> offsets = {size - kBlock};
  for (size_t at = 0; at + kBlock <= size; at += kBlock) offsets.insert(at);
  return offsets;
}

BlockKey KeyOf(std::string_view characters) {
  BlockKey key = 0;
  for (const char c : characters) key = key << 8 | static_cast<uint8_t>(AsciiLower(c));
  return key;
}

}  // namespace

SecretIndex::SecretIndex(const std::map<std::string, std::string>& secrets) {
  std::bitset<256> words;
  for (const char c : kBase64.substr(26, 36)) words.set(static_cast<uint8_t>(c));  // a-z, 0-9
  base64_ = words;
  for (const char c : {'+', '/', '-', '_'}) base64_.set(static_cast<uint8_t>(c));
  for (const auto& [name, value] : secrets) {
    const auto number = static_cast<uint32_t>(secrets_.size());
    secrets_.push_back({Placeholder(name), words});
    std::set<std::string> texts;
    for (const std::string& text : {value, TwiceUtf8(value)}) {
      const std::string plain = Canonical(text, {});
      texts.insert(plain);
      for (const Syntax syntax :
           {Syntax::kPercent, Syntax::kBackslash, Syntax::kHtml, Syntax::kQuotedPrintable}) {
        texts.insert(Canonical(text, {syntax}));
      }
      texts.insert(Canonical(text, {Syntax::kPercent, Syntax::kBackslash, Syntax::kHtml}));
      AddBase64(number, text, 0);
      for (size_t place = 0; place < 3; ++place) {
        for (const std::string_view alphabet : {kBase64, kBase64Url}) {
          AddBase64(number, Base64Inside(text, place, alphabet), 3);
        }
      }
    }
    // A value of few characters but escapes is found as it is written too.
    const bool few = std::any_of(texts.begin(), texts.end(),
                                 [](const std::string& text) { return text.size() < kBlock; });
    if (few) {
      for (const std::string& text : EscapedForms(value)) texts.insert(Canonical(text, {}));
    }
    for (const std::string& text : texts) {
      for (const char c : text) secrets_[number].characters.set(static_cast<uint8_t>(c));
      if (text.size() >= kBlock) AddText(number, text);
    }
    for (const char c : value) secrets_[number].characters.set(static_cast<uint8_t>(AsciiLower(c)));
  }
  Finish();
}

void SecretIndex::AddText(uint32_t secret, std::string_view characters) {
  for (const size_t at : BlockOffsets(characters.size())) {
    const size_t left = characters.size() - at - kBlock;
    Add(characters.substr(at, kBlock),
        {secret, static_cast<uint16_t>(std::min(at, kBlock - 1)),
         static_cast<uint16_t>(std::min(left, kBlock - 1)),
         static_cast<uint16_t>(characters.size()), at == 0, left == 0, false});
  }
}

// The digits of base64 that blocks of `bytes` decide alone, eight of each. In bits from where the
// block begins; `slack`: how many digits more belong to the value at its ends.
void SecretIndex::AddBase64(uint32_t secret, std::string_view bytes, size_t slack) {
  if (bytes.size() < kBlock) return;
  for (const size_t at : BlockOffsets(bytes.size())) {
    for (size_t place = 0; place < 3; ++place) {
      const size_t key_begin = CeilDivide(8 * place, 6) * 6 - 8 * place;
      const size_t key_end = key_begin + kBase64KeyBits;
      const size_t before = CeilDivide(key_begin + 8 * std::min(at, kBlock - 1), 6);
      const size_t value_end = 8 * (bytes.size() - at);
      const size_t after = CeilDivide(std::min(value_end, 8 * (2 * kBlock - 1)) - key_end, 6);
      const Block block = {secret,
                           static_cast<uint16_t>(before + (at < kBlock ? slack : 0)),
                           static_cast<uint16_t>(after + slack),
                           static_cast<uint16_t>(bytes.size() * 8 / 6),
                           at == 0,
                           at + kBlock == bytes.size(),
                           true};
      for (const std::string_view alphabet : {kBase64, kBase64Url}) {
        Add(Base64Inside(bytes.substr(at, kBlock), place, alphabet).substr(0, kBlock), block);
      }
    }
  }
}

void SecretIndex::Add(std::string_view characters, const Block& block) {
  added_.emplace_back(KeyOf(characters), block);
}

void SecretIndex::Finish() {
  const auto order = [](const auto& entry) {
    const auto& [key, b] = entry;
    // What ends a value has the last word on what follows it.
    return std::tuple(key, b.last, b.secret, b.before, b.after, b.length, b.first, b.base64);
  };
  std::sort(added_.begin(), added_.end(),
            [&](const auto& a, const auto& b) { return order(a) < order(b); });
  added_.erase(std::unique(added_.begin(), added_.end(),
                           [&](const auto& a, const auto& b) { return order(a) == order(b); }),
               added_.end());
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
