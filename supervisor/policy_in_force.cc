#include "supervisor/policy_in_force.h"

#include <utility>

#include "supervisor/programs.h"

namespace postern::supervisor {

Status PolicyInForce::Open(int events) {
  if (events >= 0) net.InheritDescriptor("--events=", events);
  auto opened = OpenRecording(settings.policy.network.adapter);
  if (!opened) return opened.error();
  recording = *std::move(opened);
  net.InheritRecording(recording);
  return Ok{};
}

PolicyInForce::PolicyInForce(boost::asio::io_context& io, Settings s)
    : settings(std::move(s)), net(io, NetBrokerProgram(settings)) {}

}  // namespace postern::supervisor
