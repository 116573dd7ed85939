// What a guest wrote to its result pipe (channel/result_frame.h), as an outcome.
#pragma once

#include <string_view>

#include "base/result.h"
#include "run_api/outcome.h"

namespace postern::supervisor {

// Reads the result pipe's frames into `outcome`: lengths and tags are checked, contents are not
// looked into (a value is only tried for being JSON at all). False: no outcome among them.
Result<bool> ReadResult(std::string_view bytes, run_api::Outcome& outcome);

}  // namespace postern::supervisor
