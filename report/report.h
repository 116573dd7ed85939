// Report: what a run's requests did, as one HTML page that needs nothing else (`postern report`).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace postern::report {

// `text`: a HAR file or an audit log (JSON Lines), as Postern or others write them; `name`: how the
// page calls it. An error is a sentence that names the line or entry.
Result<std::string> Page(std::string_view text, const std::string& name);

}  // namespace postern::report
