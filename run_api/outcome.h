// Outcome: what became of a run, for people, for `--json` and as an exit status.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/net_usage.h"

namespace postern::run_api {

struct RunUsage {
  int64_t wall_ms = 0, cpu_ms = 0, peak_memory_bytes = 0;
  NetUsage net;  // its errors are not in ToJson
};

struct Outcome {
  enum class Kind {
    kSucceeded,
    kFailed,
    kTimedOut,
    kOutOfMemory,
    kKilled,
    kRefused
  } kind = Kind::kSucceeded;
  int exit_status = 0;
  std::string value;  // JSON text, empty for none
  bool has_error = false;
  std::string error_name, error_message, error_stack, cause_code, cause_message;
  std::string out, err;  // with --json only
  RunUsage usage;
  nlohmann::json confinement = nlohmann::json::object();
  std::string report;       // the policy that report mode found, as YAML
  std::string log_trouble;  // where events were lost: a sentence
  std::string notice;       // for people, on stderr: what Postern itself has to say

  // Postern's own words: nothing ran, or not to its end.
  static Outcome Refused(const std::string& why, int exit_status);
  void SetError(Kind kind, int exit_status, const std::string& why);
  // Takes over what ReadResult fills in, and nothing else.
  void SetResult(Outcome&& read);
  // Of what a guest has said, all told.
  size_t SizeOfTexts() const;
  void DropTexts();
  const char* KindText() const;  // "succeeded", "timed_out", …
  std::string ToJson() const;
};

}  // namespace postern::run_api
