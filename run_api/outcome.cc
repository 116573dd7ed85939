#include "run_api/outcome.h"

#include <utility>

#include "base/format.h"

namespace postern::run_api {
namespace {

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

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

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

void Outcome::SetResult(Outcome&& read) {
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
      fmt::format("{{\"outcome\":{},\"exitCode\":{}", Dump(KindName(kind)), exit_status);
  if (!value.empty()) fmt::format_to(std::back_inserter(text), ",\"value\":{}", value);
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
                   {"requests", usage.net.requests},
                   {"denied", usage.net.denied},
                   {"bytesIn", usage.net.bytes_in},
                   {"bytesOut", usage.net.bytes_out}};
  rest["confinement"] = confinement;
  if (!report.empty()) rest["networkReport"] = report;
  text.append(",").append(Dump(rest), 1);
  return text;
}

}  // namespace postern::run_api
