#include "supervisor/process_layers.h"

#include <algorithm>

#include "base/format.h"

namespace postern::supervisor {

using nlohmann::json;

json LayersJson(const channel::Ready& ready) {
  return {{"on", ready.active}, {"missing", ready.missing}};
}

std::optional<std::string> MissingLayer(const std::vector<std::string>& required,
                                        const json& layers, bool memory_cgroup) {
  const json& on = layers["on"];
  for (const std::string& layer : required) {
    const bool has = layer == "memory-cgroup"
                         ? memory_cgroup
                         : std::any_of(on.begin(), on.end(), [&](const std::string& l) {
                             return l == layer || l.starts_with(fmt::format("{}:", layer));
                           });
    if (!has) return layer;
  }
  return std::nullopt;
}

}  // namespace postern::supervisor
