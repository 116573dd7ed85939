// Manual: what the command line's own definition says, as a man page and as shells' completions.
#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>

namespace postern::cli {

// postern(1), in the macros of man(7).
std::string ManualPage(const CLI::App& app);
// For bash, zsh or fish; nullopt for any other.
std::optional<std::string> Completions(const CLI::App& app, const std::string& shell);

}  // namespace postern::cli
