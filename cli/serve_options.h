// The options that only postern serve has.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "supervisor/settings.h"

namespace postern::supervisor {

// Durations, as they are typed.
struct ServeTexts {
  std::string queue_timeout, request_timeout, drain_timeout, handler_timeout;
};

void AddServeOptions(CLI::App& app, ServeTexts& texts, ServeSettings& s);

// What `serve`, parsed, has got; refuses an option that would have no effect.
Status ReadServeOptions(const CLI::App& serve, const ServeTexts& texts, ServeSettings& s);

}  // namespace postern::supervisor
