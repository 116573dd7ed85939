// SecretIndex: what to look for in a stream of bytes so that no part of a secret passes.
//
// A value is known by its blocks of eight characters: at each multiple of eight from its beginning,
// and the last eight. Whatever holds fifteen characters of a value in a row, or eight of its
// beginning or end, so holds a block (blanks do not count). What is replaced around a block
// (`before`, `after`) does not depend on what stands there: a guest that has an origin repeat its
// guesses learns nothing from fewer than eight right characters at once.
//
// Blocks are kept in the form that SecretFilter reads: lower case, without blanks and line ends,
// escapes taken off. Base64's digits have blocks of their own, at each of the three places in a
// group that a value may begin at, and base64's base64 too.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::policy {

inline constexpr size_t kBlock = 8;  // characters

// Eight characters, the first in the highest byte.
using BlockKey = uint64_t;

class SecretIndex {
 public:
  struct Block {
    uint32_t secret;         // its number
    uint16_t before, after;  // how many characters around the block are replaced as well
    uint16_t length;         // of the whole value, in characters
    bool first, last;        // a value begins, or ends, with this block
    bool base64;
  };
  explicit SecretIndex(const std::map<std::string, std::string>& secrets);

  // All blocks with that key; mostly none.
  std::span<const Block> Find(BlockKey key) const {
    return MayHold(key) ? Lookup(key) : std::span<const Block>();
  }
  // Whether `byte`, in lower case, may be a part of what belongs to a block: letters, digits, and
  // what occurs in the secret itself (in base64: its digits).
  bool Belongs(const Block& block, uint8_t byte) const {
    return block.base64 ? base64_[byte] : secrets_[block.secret].characters[byte];
  }
  const std::string& placeholder(uint32_t secret) const { return secrets_[secret].placeholder; }
  // How many there are.
  size_t size() const { return secrets_.size(); }

 private:
  struct Secret {
    std::string placeholder;
    std::bitset<256> characters;
  };

  void AddText(uint32_t secret, std::string_view characters);
  void AddBase64(uint32_t secret, std::string_view bytes, size_t slack);
  void Add(std::string_view characters, const Block& block);
  void Finish();
  bool MayHold(BlockKey key) const {
    const uint64_t hash = key * 0x9e3779b97f4a7c15U;
    return may_hold_[hash >> may_hold_shift_];
  }
  std::span<const Block> Lookup(BlockKey key) const;

  std::vector<Secret> secrets_;
  std::bitset<256> base64_;
  std::vector<std::pair<BlockKey, Block>> added_;
  std::vector<BlockKey> keys_;  // ascending; blocks_[i] has keys_[i]
  std::vector<Block> blocks_;
  std::vector<bool> may_hold_;  // by a hash of the key
  int may_hold_shift_ = 0;
};

}  // namespace postern::policy
