// PolicyInForce: a server's policy, with the broker that was started for it.
#pragma once

#include <boost/asio/io_context.hpp>

#include "policy/file/policy_file.h"
#include "supervisor/broker_link.h"
#include "supervisor/program_source.h"
#include "supervisor/programs.h"

namespace postern::supervisor {

// Runs keep theirs when the server gets another.
struct PolicyInForce {
  PolicyInForce(boost::asio::io_context& io, policy::PolicyFile file,
                const ProcessOptions& processes, bool records);
  // Before its first run: what the broker reads and writes. `events`: where it tells them, or -1.
  Status Open(int events);
  const policy::PolicyFile file;
  const ProcessOptions processes;
  BrokerLink net;
  Recording recording;
};

}  // namespace postern::supervisor
