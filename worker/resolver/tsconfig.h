// TsConfig: what a project's tsconfig.json says that is of importance when a program runs: how
// TypeScript and JSX become JavaScript, and what names of modules mean.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "worker/resolver/module_resolver.h"

namespace postern::worker {

class TsConfig {
 public:
  // The nearest tsconfig.json upwards from `directory`, with those that it extends as far as they
  // can be read. None says nothing.
  static TsConfig Find(FileTree& files, const std::string& directory);

  // Of compilerOptions what the transpiler heeds, as JSON.
  const std::string& options() const { return options_; }
  // Paths, without an extension or with one, where the module `specifier` may be, the likeliest
  // first.
  struct Places {
    std::vector<std::string> paths;
    bool named = false;  // by a pattern that names not just anything
  };
  Places PlacesOf(const std::string& specifier) const;
  // Of a file that cannot be understood.
  const std::optional<ModuleError>& error() const { return error_; }

 private:
  std::string options_ = "{}";
  std::string base_url_;                                                 // "" for none
  std::vector<std::pair<std::string, std::vector<std::string>>> paths_;  // pattern, paths
  std::optional<ModuleError> error_;
};

}  // namespace postern::worker
