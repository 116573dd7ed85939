// PackageFiles: what Node.js and TypeScript look for above a program's own directory: package.json,
// tsconfig.json and node_modules of the directories up to its package's root, and on to its
// workspace's.
//
// That is all that a guest is shown of them, and it can only be read: what else lies there (.env,
// .git, sources beside the program's) is none of its business. A link among them counts where it
// leads to such a thing beneath the outermost of these directories: whoever wrote what is run may
// have put it there.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace postern::supervisor {

struct PackageFiles {
  std::map<std::string, std::string> manifests;  // path of a package.json or tsconfig*.json, bytes
  std::vector<std::string> modules;              // each a directory node_modules
  std::vector<std::pair<std::string, std::string>> leads_out;  // links left out, and their targets
};

// `directory`: the program's own, absolute and without links; what lies in it is not listed.
PackageFiles FindPackageFiles(const std::filesystem::path& directory);

// The program in a directory that is a package: its "main", index.js and its like, or its only
// "bin". Empty where there is none in it.
std::filesystem::path ProgramOf(const std::filesystem::path& directory);

}  // namespace postern::supervisor
