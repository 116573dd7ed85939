#include "supervisor/read_result.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/exit_status.h"
#include "channel/result_frame.h"

namespace postern::supervisor {
namespace {

using channel::ResultTag;
using nlohmann::json;

// Without control characters: to the parser a zero byte is the end, whatever comes after it, and a
// line's end would be that of the result's line.
bool IsOneLineOfJson(const std::string& text) {
  const auto control = [](unsigned char c) { return c < ' '; };
  return std::none_of(text.begin(), text.end(), control) && json::accept(text);
}

// Returns true where the tag is an outcome of its own.
bool TakeFrame(ResultTag tag, std::string bytes, run_api::Outcome& o) {
  const auto error_text = [&](std::string& to) {
    o.has_error = true;
    to = std::move(bytes);
    return false;
  };
  switch (tag) {
    case ResultTag::kSucceeded:
      o.kind = run_api::Outcome::Kind::kSucceeded;
      return true;
    case ResultTag::kFailed:
      o.kind = run_api::Outcome::Kind::kFailed;
      o.exit_status = kExitFailed;
      return true;
    case ResultTag::kOutOfMemory:
      o.kind = run_api::Outcome::Kind::kOutOfMemory;
      o.exit_status = kExitKilled;
      return true;
    case ResultTag::kExitCode: {
      int code = 1;
      std::from_chars(bytes.data(), bytes.data() + bytes.size(), code);
      o.exit_status = code & 0xff;
      o.kind =
          o.exit_status == 0 ? run_api::Outcome::Kind::kSucceeded : run_api::Outcome::Kind::kFailed;
      return true;
    }
    case ResultTag::kValue:
      if (IsOneLineOfJson(bytes)) o.value = std::move(bytes);
      return false;
    case ResultTag::kErrorName:
      return error_text(o.error_name);
    case ResultTag::kErrorMessage:
      return error_text(o.error_message);
    case ResultTag::kErrorStack:
      return error_text(o.error_stack);
    case ResultTag::kCauseCode:
      return error_text(o.cause_code);
    case ResultTag::kCauseMessage:
      return error_text(o.cause_message);
    case ResultTag::kReadsStdin:
    case ResultTag::kHearsSignal:
      return false;
  }
  return false;
}

}  // namespace

Result<bool> ReadResult(std::string_view bytes, run_api::Outcome& outcome) {
  bool complete = false;
  while (!bytes.empty()) {
    const auto head = channel::ReadResultHead(bytes);
    if (!head) return Error{"the guest's result is cut short"};
    const auto [tag, size] = *head;
    bytes.remove_prefix(channel::kResultHead);
    if (tag < 1 || tag > static_cast<uint8_t>(ResultTag::kLast))
      return Error{"the guest's result has an unknown frame"};
    if (size > bytes.size()) return Error{"the guest's result is cut short"};
    complete =
        TakeFrame(static_cast<ResultTag>(tag), std::string(bytes.substr(0, size)), outcome) ||
        complete;
    bytes.remove_prefix(size);
  }
  return complete;
}

}  // namespace postern::supervisor
