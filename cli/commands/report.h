// `postern report`: a page for people, of a recording or an audit log.
#pragma once

#include "cli/settings.h"

namespace postern::cli {

// Writes it where `settings.output` says.
int WriteReport(const Settings& settings);

}  // namespace postern::cli
