// Layers of confinement: what a process of ours says of its own, and what a user requires of them.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "channel/control_messages.h"

namespace postern::supervisor {

// As results and `postern doctor --json` have it: {"on": […], "missing": ["layer: reason", …]}.
nlohmann::json LayersJson(const channel::Ready& ready);

// The first of `required` (--require) that is not on: `layers` are a worker's LayersJson.
std::optional<std::string> MissingLayer(const std::vector<std::string>& required,
                                        const nlohmann::json& layers, bool memory_cgroup);

}  // namespace postern::supervisor
