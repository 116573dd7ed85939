#include "supervisor/package_files.h"

#include <nlohmann/json.hpp>
#include <optional>

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

// The last directory upwards that has a say: the package's root, or its workspace's.
fs::path Top(const fs::path& directory) {
  if (const auto installation = Installation(directory)) return *installation;
  std::optional<fs::path> root;
  for (fs::path at = directory; at.has_relative_path(); at = at.parent_path()) {
    const auto manifest = Manifest(at);
    if (!root && (manifest || IsDirectory(at / kModules))) root = at;
    if (!root) continue;
    const auto parsed =
        manifest ? json::parse(*manifest, nullptr, false, true) : json(json::value_t::discarded);
    if ((parsed.is_object() && parsed.contains("workspaces")) || IsFile(at / "pnpm-workspace.yaml"))
      return at;
  }
  return root.value_or(directory);
}

}  // namespace

PackageFiles FindPackageFiles(const fs::path& directory) {
  PackageFiles found;
  const fs::path top = Top(directory);
  for (fs::path at = directory; at != top && at.has_relative_path();) {
    at = at.parent_path();
    if (at.filename() == kModules) continue;
    if (auto manifest = Manifest(at)) found.manifests[at / "package.json"] = *std::move(manifest);
    // One beneath another is a part of it.
    if (IsDirectory(at / kModules)) found.modules.push_back(at / kModules);
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
  for (const char* index : {"index.js", "index.mjs", "index.cjs", "index.ts"})
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
