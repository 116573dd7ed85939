#include "supervisor/policy_in_force.h"

#include <utility>

namespace postern::supervisor {

Status PolicyInForce::Open(int events) {
  if (events >= 0) net.InheritDescriptor("--events=", events);
  auto opened = OpenRecording(file.network.adapter);
  if (!opened) return opened.error();
  recording = *std::move(opened);
  net.InheritRecording(recording);
  return Ok{};
}

PolicyInForce::PolicyInForce(boost::asio::io_context& io, policy::PolicyFile given,
                             const ProcessOptions& options, bool records)
    : file(std::move(given)),
      processes(options),
      net(io, NetBrokerProgram(processes, file, records)) {}

}  // namespace postern::supervisor
