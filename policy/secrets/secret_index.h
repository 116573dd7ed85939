// SecretIndex: what to look for in a stream of bytes so that no part of a secret passes.
//
// A value is known by its blocks of eight characters, from its beginning on (blanks do not count).
// Whatever holds fifteen characters of a value in a row, or eight of its beginning, so holds a
// block. In every form a value has the same blocks, and a block is found by all that it is (in
// base64 but for bits that it shares with its neighbours): never by other eight characters. What is
// replaced around a block (`before`, `after`) does not depend on what stands there. So a guest that
// has an origin repeat its guesses learns nothing from fewer than eight right characters at once,
// and then has eight more to guess.
//
// Blocks are kept in the form that SecretFilter reads: lower case, without blanks and line ends,
// escapes taken off. Base64's digits have blocks of their own, at each of the three places in a
// group that a value may begin at, and so have base64's base64, and base64 of UTF-16.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::policy {

inline constexpr size_t kBlock = 8;  // characters

// A block's last eight characters, the first of them in the highest byte.
using BlockKey = uint64_t;

struct Glyph;  // unescape.h

class SecretIndex {
 public:
  struct Block {
    static constexpr size_t kMaxWidth = 24;

    uint32_t secret = 0;                              // its number
    uint8_t width = kBlock;                           // characters of this form
    std::array<uint8_t, kMaxWidth - kBlock> front{};  // those before its last eight
    uint8_t before = 0, after = 0;     // how many characters around it are replaced as well
    uint16_t length = 0;               // of the whole value, in characters of this form
    bool first = false, last = false;  // the value's first block, and its last
    // Of the last one: what follows to the value's end. Where it does, `end` characters go with it
    // and no more.
    uint8_t tail = 0, end = 0;
    BlockKey tail_key = 0;  // of its last eight characters, or fewer
    bool base64 = false;
  };
  explicit SecretIndex(const std::map<std::string, std::string>& secrets);

  // All blocks with that key; mostly none.
  std::span<const Block> Find(BlockKey key) const {
    return MayHold(key) ? Lookup(key) : std::span<const Block>();
  }
  // Whether `byte`, in lower case, may be a part of what belongs to a block: what words and tokens
  // consist of, and else what occurs in the secret itself (in base64: its digits).
  bool Belongs(const Block& block, uint8_t byte) const {
    return block.base64 ? base64_[byte] : secrets_[block.secret].characters[byte];
  }
  // Whether `byte` closes what it ends: a bracket or a quote that occurs in no secret.
  bool Closes(uint8_t byte) const { return closes_[byte]; }
  const std::string& placeholder(uint32_t secret) const { return secrets_[secret].placeholder; }
  // How many there are.
  size_t size() const { return secrets_.size(); }

 private:
  struct Secret {
    std::string placeholder;
    std::bitset<256> characters;
  };

  void AddValue(uint32_t secret, const std::string& value);
  void AddText(uint32_t secret, const std::vector<Glyph>& glyphs,
               const std::vector<size_t>& bounds);
  void AddWholeForms(uint32_t secret, const std::string& value);
  void AddBase64(uint32_t secret, std::string_view bytes, size_t scale,
                 const std::vector<size_t>& bounds);
  void Add(const Block& block, std::string_view characters, std::string_view tail);
  void Finish();
  bool MayHold(BlockKey key) const {
    const uint64_t hash = key * 0x9e3779b97f4a7c15U;
    return may_hold_[hash >> may_hold_shift_];
  }
  std::span<const Block> Lookup(BlockKey key) const;

  std::vector<Secret> secrets_;
  std::bitset<256> base64_, closes_;
  std::vector<std::pair<BlockKey, Block>> added_;
  std::vector<BlockKey> keys_;  // ascending; blocks_[i] has keys_[i]
  std::vector<Block> blocks_;
  std::vector<bool> may_hold_;  // by a hash of the key
  int may_hold_shift_ = 0;
};

}  // namespace postern::policy
