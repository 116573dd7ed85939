// doctor: which layers confine Postern's processes on this machine, why others do not, and what
// would change that.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace postern::supervisor {

// Starts each program once, and reports:
//   parts    {"worker": {"on": [layer…], "missing": ["layer: reason"…]}, "broker-net": …}
//   missing  [{"layer", "part", "reason", "remedy"}…]
//   v8       {"version", "node", "released": "2026-09-22", "ageDays"}
//   kernel, user, postern
// Or why a part does not start.
Result<nlohmann::json> Examine();

// The same for people: a table of layers and parts, then reasons and remedies.
std::string DoctorTable(const nlohmann::json& report);

}  // namespace postern::supervisor
