// What a service manager is told, and what it gives (sd_notify(3), sd_listen_fds(3)): the protocol
// alone, without its library, which every `postern run` would have to load.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace postern::server {

// Sends "READY=1" and the like to whoever started this as a service; does nothing where nobody did.
void Notify(const std::string& state);

// How often the manager wants to hear "WATCHDOG=1"; nullopt where it does not.
std::optional<std::chrono::microseconds> WatchdogInterval();

// A listening socket that the manager has opened already, and the name that it has there
// (FileDescriptorName=).
struct GivenSocket {
  UniqueFd fd;
  std::string name;
};
std::vector<GivenSocket> GivenSockets();

}  // namespace postern::server
