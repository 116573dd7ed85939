// Decoder: Content-Encoding undone, a piece at a time, in the guest: the more hostile the bytes,
// the smaller the cage they are parsed in. Never makes more than asked for, so that a bomb stays
// small.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postern::worker {

class Decoder {
 public:
  virtual ~Decoder() = default;
  // Fills `out` from `in`, of which `*used` bytes were taken. 0 with all of `in` taken: needs more.
  virtual Result<size_t> Decode(std::span<const uint8_t> in, size_t* used,
                                std::span<uint8_t> out) = 0;
  // The coding's own end was seen: a body that ends before it was cut short.
  virtual bool Finished() const = 0;

  // For gzip, deflate (zlib or raw), br, zstd; nullptr for anything else.
  static std::unique_ptr<Decoder> For(std::string_view coding);
};

}  // namespace postern::worker
