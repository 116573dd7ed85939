#include "run_api/outcome.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "channel/result_frame.h"

namespace postern::supervisor {
namespace {

using channel::ResultTag;
using nlohmann::json;

const char* KindName(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::kSucceeded:
      return "succeeded";
    case Outcome::Kind::kFailed:
      return "failed";
    case Outcome::Kind::kTimedOut:
      return "timed_out";
    case Outcome::Kind::kOutOfMemory:
      return "out_of_memory";
    case Outcome::Kind::kKilled:
      return "killed";
    case Outcome::Kind::kRefused:
      return "refused";
  }
  return "failed";
}

// Without control characters: to the parser a zero byte is the end, whatever comes after it, and a
// line's end would be that of the result's line.
bool IsOneLineOfJson(const std::string& text) {
  const auto control = [](unsigned char c) { return c < ' '; };
  return std::none_of(text.begin(), text.end(), control) && json::accept(text);
}

// Returns true where the tag is an outcome of its own.
bool TakeFrame(ResultTag tag, std::string bytes, Outcome& o) {
  const auto error_text = [&](std::string& to) {
    o.has_error = true;
    to = std::move(bytes);
    return false;
  };
  switch (tag) {
    case ResultTag::kSucceeded:
      o.kind = Outcome::Kind::kSucceeded;
      return true;
    case ResultTag::kFailed:
      o.kind = Outcome::Kind::kFailed;
      o.exit_status = 1;
      return true;
    case ResultTag::kOutOfMemory:
      o.kind = Outcome::Kind::kOutOfMemory;
      o.exit_status = 137;
      return true;
    case ResultTag::kExitCode: {
      int code = 1;
      std::from_chars(bytes.data(), bytes.data() + bytes.size(), code);
      o.exit_status = code & 0xff;
      o.kind = o.exit_status == 0 ? Outcome::Kind::kSucceeded : Outcome::Kind::kFailed;
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

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

Result<bool> ReadResult(std::string_view bytes, Outcome& outcome) {
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

Outcome Outcome::Refused(const std::string& why, int exit_status) {
  Outcome outcome;
  outcome.SetError(Kind::kRefused, exit_status, why);
  return outcome;
}

void Outcome::SetError(Kind new_kind, int new_status, const std::string& why) {
  kind = new_kind;
  exit_status = new_status;
  notice = why;
  has_error = true;
  error_name = "PosternError";
  error_message = why;
}

std::optional<std::string> MissingLayer(const std::vector<std::string>& required,
                                        const json& layers, bool memory_cgroup) {
  const json& on = layers["on"];
  for (const std::string& layer : required) {
    const bool has = layer == "memory-cgroup"
                         ? memory_cgroup
                         : std::any_of(on.begin(), on.end(), [&](const std::string& l) {
                             return l == layer || l.starts_with(layer + ":");
                           });
    if (!has) return layer;
  }
  return std::nullopt;
}

void Outcome::TakeResult(Outcome&& read) {
  kind = read.kind;
  exit_status = read.exit_status;
  value = std::move(read.value);
  has_error = read.has_error;
  error_name = std::move(read.error_name);
  error_message = std::move(read.error_message);
  error_stack = std::move(read.error_stack);
  cause_code = std::move(read.cause_code);
  cause_message = std::move(read.cause_message);
}

size_t Outcome::SizeOfTexts() const {
  return value.size() + out.size() + err.size() + error_name.size() + error_message.size() +
         error_stack.size() + cause_code.size() + cause_message.size();
}

void Outcome::DropTexts() {
  for (std::string* text :
       {&value, &out, &err, &error_name, &error_message, &error_stack, &cause_code, &cause_message})
    std::string().swap(*text);
}

const char* Outcome::KindText() const { return KindName(kind); }

std::string Outcome::ToJson() const {
  // The value goes in as the text that it is: parsing what a guest wrote is not this program's
  // business.
  std::string text =
      "{\"outcome\":" + Dump(KindName(kind)) + ",\"exitCode\":" + std::to_string(exit_status);
  if (!value.empty()) text += ",\"value\":" + value;
  json rest = json::object();
  if (has_error) {
    json error = {{"name", error_name}, {"message", error_message}};
    if (!error_stack.empty()) error["stack"] = error_stack;
    // The code may be the own one of an error that has no cause, and so no message of it.
    if (!cause_code.empty()) error["cause"]["code"] = cause_code;
    if (!cause_message.empty()) error["cause"]["message"] = cause_message;
    rest["error"] = error;
  }
  rest["stdout"] = out;
  rest["stderr"] = err;
  rest["usage"] = {{"wallMs", usage.wall_ms},
                   {"cpuMs", usage.cpu_ms},
                   {"peakMemoryBytes", usage.peak_memory_bytes},
                   {"requests", usage.requests},
                   {"denied", usage.denied},
                   {"bytesIn", usage.bytes_in},
                   {"bytesOut", usage.bytes_out}};
  rest["confinement"] = confinement;
  if (!report.empty()) rest["networkReport"] = report;
  return text + "," + Dump(rest).substr(1);
}

}  // namespace postern::supervisor
