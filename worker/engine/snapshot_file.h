// The start-up snapshot's file: V8's blob and, behind it, a seal that says which build made it.
//
// V8 maps what a blob says without looking at it twice (its own checksum is off: it would cost a
// start 0.5 ms). A file that is damaged, cut short or another build's is refused by the seal.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace postern::worker {

// `blob` with its seal: CRC-32 of blob and build, 12 bytes in all.
std::string SealSnapshot(std::string blob, const std::string& build);
// The blob in a sealed file's bytes, or why it cannot be used.
Result<std::string_view> OpenSnapshot(std::string_view file, const std::string& build);

}  // namespace postern::worker
