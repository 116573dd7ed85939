// Layers of confinement that a user requires (--require), held against those that there are.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace postern::supervisor {

// The first of `required` that is not on: layers as a worker reports them, and the memory cgroup.
std::optional<std::string> MissingLayer(const std::vector<std::string>& required,
                                        const nlohmann::json& layers, bool memory_cgroup);

}  // namespace postern::supervisor
