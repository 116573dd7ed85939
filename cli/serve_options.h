// The options that only postern serve has.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/result.h"
#include "cli/settings.h"

namespace postern::cli {

// Durations, as they are typed.
struct ServeTexts {
  std::string queue_timeout, request_timeout, drain_timeout, handler_timeout;
};

void AddServeOptions(CLI::App& app, ServeTexts& texts, server::ServeOptions& s);

// What `serve`, parsed, has got; refuses an option that would have no effect.
Status ReadServeOptions(const CLI::App& serve, const ServeTexts& texts, server::ServeOptions& s);

}  // namespace postern::cli
