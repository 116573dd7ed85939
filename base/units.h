// Quantities as people write them in a policy and on a command line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postern {

Result<int64_t> ParseDuration(std::string_view text);    // "300ms", "5s", "2m", "1h": milliseconds
Result<int64_t> ParseResolution(std::string_view text);  // "100us", "5ms", "1s": microseconds
Result<int64_t> ParseBytes(std::string_view text);       // "4096", "64KiB", "128MiB", "1GB": bytes
Result<int64_t> ParseCount(std::string_view text);       // "64"

// The same the other way round, in the largest unit of which it is a whole number: "128MiB", "5s".
std::string BytesText(int64_t bytes);
std::string DurationText(int64_t milliseconds);

struct Rate {
  int64_t count, period;  // period in milliseconds
};
Result<Rate> ParseRate(std::string_view text);  // "100/s", "60/m", "1000/h"

}  // namespace postern
