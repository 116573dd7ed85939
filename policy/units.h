// Durations and sizes as people write them: "300ms", "5s", "2m", "1h"; "64KiB", "128MiB", "1GiB",
// "4096".
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace postern::policy {

Result<int64_t> ParseDuration(std::string_view text);  // milliseconds
Result<int64_t> ParseBytes(std::string_view text);

}  // namespace postern::policy
