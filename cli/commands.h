// Commands: those that a command line's definition has.
#pragma once

#include <CLI/App.hpp>
#include <string_view>
#include <vector>

namespace postern::cli {

inline std::vector<const CLI::App*> Commands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// Null where there is none of that name.
inline const CLI::App* CommandOf(const CLI::App& app, std::string_view name) {
  for (const CLI::App* command : Commands(app)) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

}  // namespace postern::cli
