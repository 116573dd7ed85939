#include "supervisor/package_files.h"

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>

#include "supervisor/program_source.h"

namespace postern::supervisor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxManifestBytes = 1 << 20;
constexpr const char* kModules = "node_modules";

bool IsDirectory(const fs::path& path) {
  std::error_code ignored;  // what cannot be looked at is not there for a guest either
  return fs::is_directory(path, ignored);
}

bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool IsTsConfig(const std::string& name) {
  return name.starts_with("tsconfig") && name.ends_with(".json");
}

// A link stands for a thing of its own kind alone.
std::string KindOf(const fs::path& path) {
  const std::string name = path.filename();
  return IsTsConfig(name) ? "tsconfig.json" : name;
}

bool IsBeneath(const fs::path& path, const fs::path& root) {
  const fs::path beneath = path.lexically_relative(root);
  return !beneath.empty() && *beneath.begin() != "..";
}

// A directory, and what of a package it has.
struct Level {
  fs::path directory;
  std::optional<std::string> text;  // of package.json
  json manifest;                    // null where there is none, discarded where that is no JSON
  bool has_modules;
};

Level LevelOf(const fs::path& directory) {
  Level level{directory, std::nullopt, {}, IsDirectory(directory / kModules)};
  if (auto text = ReadFile(directory / "package.json", kMaxManifestBytes)) {
    level.manifest = json::parse(*text, nullptr, false, true);
    level.text = *std::move(text);
  }
  return level;
}

bool BeginsWorkspace(const Level& level) {
  return (level.manifest.is_object() && level.manifest.contains("workspaces")) ||
         IsFile(level.directory / "pnpm-workspace.yaml");
}

// A package.json without a name only says how the files around it are to be read.
bool IsPackage(const Level& level) {
  return (level.manifest.is_object() && level.manifest.contains("name")) || level.has_modules;
}

// The directory whose node_modules a program within a package that is installed finds others in:
// the outermost, so that all that was installed is seen.
std::optional<fs::path> Installation(const fs::path& directory) {
  fs::path at;
  for (const fs::path& name : directory) {
    if (name == kModules) return at;
    at /= name;
  }
  return std::nullopt;
}

// `directory` and those above it, up to the last that has a say.
std::vector<Level> LevelsOf(const fs::path& directory) {
  std::vector<Level> levels;
  if (const auto installation = Installation(directory)) {
    for (fs::path at = directory; at != *installation; at = at.parent_path())
      levels.push_back(LevelOf(at));
    levels.push_back(LevelOf(*installation));
    return levels;
  }
  // How many there are up to the package's root, or to the first package.json; 0 until it is found.
  size_t root = 0, manifest = 0;
  for (fs::path at = directory; at.has_relative_path(); at = at.parent_path()) {
    const Level& level = levels.emplace_back(LevelOf(at));
    if (manifest == 0 && !level.manifest.is_null()) manifest = levels.size();
    if (root == 0 && IsPackage(level)) root = levels.size();
    if (root != 0 && BeginsWorkspace(level)) return levels;
  }
  levels.resize(root != 0 ? root : manifest);
  return levels;
}

// What is shown of the levels, where links lead no further than these themselves.
class Finder {
 public:
  explicit Finder(fs::path root) : root_(std::move(root)) {}

  void Add(const Level& level) {
    const fs::path manifest = level.directory / "package.json";
    const fs::path modules = level.directory / kModules;
    if (level.text && StaysInside(manifest)) found.manifests[manifest] = *level.text;
    AddTsConfigs(level.directory);
    if (level.has_modules && StaysInside(modules)) found.modules.push_back(modules);
  }

  PackageFiles found;

 private:
  bool StaysInside(const fs::path& path) {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    if (error) return false;  // what cannot be looked at is not there for a guest either
    if (KindOf(real) == KindOf(path) && IsBeneath(real, root_)) return true;
    found.leads_out.emplace_back(path, real);
    return false;
  }

  // tsconfig.json, and those beside it that it may extend (tsconfig.base.json).
  void AddTsConfigs(const fs::path& directory) {
    std::error_code error;
    for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
      const fs::path& path = entry->path();
      if (!IsTsConfig(path.filename()) || !StaysInside(path)) continue;
      if (auto text = ReadFile(path, kMaxManifestBytes)) found.manifests[path] = *std::move(text);
    }
  }

  const fs::path root_;
};

}  // namespace

PackageFiles FindPackageFiles(const fs::path& directory) {
  const std::vector<Level> levels = LevelsOf(directory);
  if (levels.empty()) return {};
  Finder finder(levels.back().directory);
  for (const Level& level : levels) {
    if (level.directory != directory && level.directory.filename() != kModules) finder.Add(level);
  }
  return std::move(finder.found);
}

fs::path ProgramOf(const fs::path& directory) {
  std::vector<std::string> names;
  const json parsed = LevelOf(directory).manifest;
  const auto text = [](const json& value) {
    return value.is_string() ? value.get<std::string>() : "";
  };
  if (parsed.is_object()) {
    if (const std::string main = text(parsed.value("main", json())); !main.empty()) {
      for (const char* ending : {"", ".js", "/index.js"}) names.push_back(main + ending);
    }
  }
  for (const char* index :
       {"index.js", "index.mjs", "index.cjs", "index.ts", "index.tsx", "index.jsx"})
    names.push_back(index);
  if (parsed.is_object()) {
    const json bin = parsed.value("bin", json());
    names.push_back(bin.is_object() && bin.size() == 1 ? text(bin.begin().value()) : text(bin));
  }
  std::error_code error;
  const fs::path root = fs::canonical(directory, error);
  for (const std::string& name : names) {
    const fs::path program = directory / name;
    if (!name.empty() && IsFile(program) && IsBeneath(fs::canonical(program, error), root))
      return program;
  }
  return {};
}

}  // namespace postern::supervisor
