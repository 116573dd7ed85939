// A HAR file: refused with a reason, or entries of which each has a response or a failure that says
// why there is none; and what is recorded of them reads the same.
#include "broker/upstream/replay.h"
#include "har/har.h"

namespace {

using postern::har::HarEntry;

bool HasAnswer(const HarEntry& e) {
  return e.failure ? !e.failure->code.empty() : e.status >= 200 && e.status <= 599;
}

// A body that was read, as one that was recorded.
void Record(postern::har::Body& body) {
  body.size = body.missing.empty() ? static_cast<int64_t>(body.bytes.size()) : 1;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto replay = postern::broker::Replay::Parse(text);
  auto read = postern::har::Parse(text);
  if (replay.ok() != read.ok()) __builtin_trap();
  if (!read) {
    if (read.error().message.empty()) __builtin_trap();
    return 0;
  }
  postern::broker::Replay::Cursor cursor;
  for (HarEntry& e : *read) {
    if (!HasAnswer(e)) __builtin_trap();
    const auto found = replay->Find(cursor, e.method, e.url, {"", e.request_body.bytes});
    if (!found && found.error().message.empty()) __builtin_trap();
    if (e.failure || e.status == 304) continue;
    Record(e.request_body);
    Record(e.response_body);
    const auto again =
        postern::har::Parse(std::string(postern::har::Beginning()) + postern::har::FormatEntry(e) +
                            std::string(postern::har::Ending()));
    if (!again || again->size() != 1) __builtin_trap();
    const HarEntry& copy = again->front();
    if (copy.failure || copy.status != e.status ||
        copy.response_body.bytes != e.response_body.bytes ||
        copy.request_body.missing.empty() != e.request_body.missing.empty()) {
      __builtin_trap();
    }
  }
  return 0;
}
