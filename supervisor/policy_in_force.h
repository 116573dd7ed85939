// PolicyInForce: a server's policy, with the broker that was started for it.
#pragma once

#include <boost/asio/io_context.hpp>

#include "supervisor/broker_link.h"
#include "supervisor/program_source.h"
#include "supervisor/settings.h"

namespace postern::supervisor {

// Runs keep theirs when the server gets another.
struct PolicyInForce {
  PolicyInForce(boost::asio::io_context& io, Settings s);
  // Before its first run: what the broker reads and writes. `events`: where it tells them, or -1.
  Status Open(int events);
  const Settings settings;
  BrokerLink net;
  Recording recording;
};

}  // namespace postern::supervisor
