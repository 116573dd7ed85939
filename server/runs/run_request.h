// RunRequest: what the body of POST /v1/runs asks for (docs/openapi.yaml), checked against the
// server's own policy.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "channel/order.h"
#include "policy/file/policy_file.h"

namespace postern::server {

struct RunRequest {
  worker::Order order;         // but for what the policy says
  policy::PolicyFile policy;   // the server's, narrowed
  bool wait = true;            // answer when it has ended
  std::string input;           // the guest's stdin
  bool input_comes = false;    // it is sent later, piece by piece
  bool console_events = true;  // where what happens is told: what it prints too
  // Where directories stand whose descriptors came with the body: GUEST, or GUEST:rw.
  std::vector<policy::MountSetting> mounts;
};

// Why a request is refused: an HTTP status, a code for programs, a sentence for people.
struct Problem {
  int status = 400;
  std::string code, detail;
};

// `body`: JSON. `ceiling`: the server's policy, which a request can only narrow.
std::variant<RunRequest, Problem> ParseRunRequest(std::string_view body,
                                                  const policy::PolicyFile& ceiling);

}  // namespace postern::server
