// Result pipe: how a guest tells the supervisor what became of its run.
//
// A sequence of frames, each [tag: u8][length: u32 little-endian][bytes]. The supervisor checks tag
// and length and copies the bytes; it parses nothing inside them. What a guest says while it runs
// (kReadsStdin, kHearsSignal) comes before its result.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace postern::channel {

enum class ResultTag : uint8_t {
  kSucceeded = 1,  // empty
  kFailed,         // empty; the error's parts come in frames of their own
  kOutOfMemory,    // empty
  kExitCode,       // decimal digits
  kValue,          // JSON text of what __return was given
  kErrorName,
  kErrorMessage,
  kErrorStack,
  kCauseCode,
  kCauseMessage,  // UTF-8 text
  kReadsStdin,    // empty: the guest waits for its stdin
  kHearsSignal,   // a signal's number, one byte: the guest listens for it
  kLast = kHearsSignal,
};

inline constexpr uint32_t kMaxResultBytes =
    16 * 1024 * 1024;  // one frame, and all of them together

inline constexpr size_t kResultHead = 5;  // bytes before those of a frame

struct ResultHead {
  uint8_t tag = 0;  // a ResultTag, where it is one
  uint32_t size = 0;
};

// Of the first frame in `bytes`; nothing where they do not reach so far.
inline std::optional<ResultHead> ReadResultHead(std::string_view bytes) {
  if (bytes.size() < kResultHead) return std::nullopt;
  ResultHead head{.tag = static_cast<uint8_t>(bytes[0])};
  std::memcpy(&head.size, bytes.data() + 1, sizeof head.size);
  return head;
}

inline std::string ResultFrame(ResultTag tag, std::string_view bytes) {
  std::string out(kResultHead, '\0');
  const auto size = static_cast<uint32_t>(bytes.size());
  out[0] = static_cast<char>(tag);
  std::memcpy(out.data() + 1, &size, sizeof size);
  return out.append(bytes);
}

}  // namespace postern::channel
