// RunRequest: what the body of POST /v1/runs says (docs/openapi.yaml), to be written and to be
// read.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "run_api/problem.h"

namespace postern::run_api {

struct RunRequest {
  // Where a run begins that does not say where, and what relative paths of files stand below.
  static constexpr char kHome[] = "/app";

  // Where a directory stands whose descriptor comes with the body.
  struct Mount {
    std::string guest;
    bool writable = false;
    bool operator==(const Mount&) const = default;
  };

  // One of `code` and `entry`, which is one of `files`.
  std::optional<std::string> code;
  std::string entry;
  std::map<std::string, std::string> files;  // absolute path, bytes
  std::string extension;                     // of code: "ts"; "" where its text says what it is
  bool eval = false, print = false;          // code is a script, whose value is printed
  std::vector<std::string> arguments;
  std::map<std::string, std::string> env;
  std::string cwd;                // absolute; "" for kHome
  nlohmann::json policy, limits;  // null where not said
  std::vector<Mount> mounts;
  std::string input;           // the guest's stdin
  bool input_comes = false;    // it is sent later, piece by piece
  bool console_events = true;  // where what happens is told: what it prints too
  bool wait = true;            // answer when it has ended
  bool operator==(const RunRequest&) const = default;
};

// JSON. What is no UTF-8 in a text becomes U+FFFD; files keep their bytes.
std::string ToJson(const RunRequest& request);

// Of a body that anyone may have sent: sizes, types and paths are checked, and what is said goes
// together. Whether a server grants it is the server's business.
std::variant<RunRequest, ApiProblem> ParseRunRequest(std::string_view body);

}  // namespace postern::run_api
