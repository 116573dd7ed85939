#include "supervisor/package_files.h"

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>

#include "supervisor/entry.h"

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

std::optional<std::string> Manifest(const fs::path& directory) {
  auto text = ReadFile(directory / "package.json", kMaxManifestBytes);
  if (!text) return std::nullopt;
  return *std::move(text);
}

// tsconfig.json, and those beside it that it may extend (tsconfig.base.json), by path.
void AddTsConfigs(const fs::path& directory, std::map<std::string, std::string>& to) {
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (!name.starts_with("tsconfig") || !name.ends_with(".json")) continue;
    if (auto text = ReadFile(entry->path(), kMaxManifestBytes))
      to[entry->path()] = *std::move(text);
  }
}

// A directory, and what of a package it has.
struct Level {
  fs::path directory;
  std::optional<std::string> manifest;
  bool has_modules;
};

Level LevelOf(const fs::path& directory) {
  return {directory, Manifest(directory), IsDirectory(directory / kModules)};
}

bool BeginsWorkspace(const Level& level) {
  const auto parsed = level.manifest ? json::parse(*level.manifest, nullptr, false, true) : json();
  return (parsed.is_object() && parsed.contains("workspaces")) ||
         IsFile(level.directory / "pnpm-workspace.yaml");
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
  size_t root = 0;  // how many there are up to the package's root; 0 until that is found
  for (fs::path at = directory; at.has_relative_path(); at = at.parent_path()) {
    const Level& level = levels.emplace_back(LevelOf(at));
    if (root == 0 && (level.manifest || level.has_modules)) root = levels.size();
    if (root != 0 && BeginsWorkspace(level)) return levels;
  }
  levels.resize(root);
  return levels;
}

}  // namespace

PackageFiles FindPackageFiles(const fs::path& directory) {
  PackageFiles found;
  for (Level& level : LevelsOf(directory)) {
    if (level.directory == directory || level.directory.filename() == kModules) continue;
    if (level.manifest)
      found.manifests[level.directory / "package.json"] = *std::move(level.manifest);
    AddTsConfigs(level.directory, found.manifests);
    if (level.has_modules) found.modules.push_back(level.directory / kModules);
  }
  return found;
}

fs::path ProgramOf(const fs::path& directory) {
  std::vector<std::string> names;
  const auto manifest = Manifest(directory);
  const auto parsed = manifest ? json::parse(*manifest, nullptr, false) : json();
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
  for (const std::string& name : names) {
    if (!name.empty() && IsFile(directory / name)) return directory / name;
  }
  return {};
}

}  // namespace postern::supervisor
