// Admission: what a request of the run API comes to under the server's own policy.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "channel/guest_order.h"
#include "policy/file/policy_file.h"
#include "run_api/run_request.h"

namespace postern::server {

struct AdmittedRun {
  channel::GuestOrder order;   // but for what the policy says
  policy::PolicyFile policy;   // the server's, narrowed
  bool wait = true;            // answer when it has ended
  std::string input;           // the guest's stdin
  bool input_comes = false;    // it is sent later, piece by piece
  bool console_events = true;  // where what happens is told: what it prints too
  // Where directories stand whose descriptors came with the body.
  std::vector<run_api::RunRequest::Mount> mounts;
};

// `body`: JSON. `ceiling`: the server's policy, which a request can only narrow.
std::variant<AdmittedRun, run_api::ApiProblem> AdmitRun(std::string_view body,
                                                        const policy::PolicyFile& ceiling);

}  // namespace postern::server
