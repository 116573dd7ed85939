#include "worker/resolver/tsconfig.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/format.h"

namespace postern::worker {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMostFiles = 32;  // that one extends, over others

constexpr const char* kHeeded[] = {"target",
                                   "jsx",
                                   "jsxFactory",
                                   "jsxFragmentFactory",
                                   "jsxImportSource",
                                   "experimentalDecorators",
                                   "emitDecoratorMetadata",
                                   "useDefineForClassFields",
                                   "verbatimModuleSyntax",
                                   "esModuleInterop"};

// Where the comment that begins at `at` ends; `at` itself where none does.
size_t PastComment(std::string_view text, size_t at) {
  const std::string_view rest = text.substr(at);
  if (rest.starts_with("//")) return std::min(text.find('\n', at), text.size());
  if (!rest.starts_with("/*")) return at;
  const size_t end = text.find("*/", at + 2);
  return end == std::string_view::npos ? text.size() : end + 2;
}

// JSON as TypeScript reads it has commas before closing brackets too: those become spaces.
std::string WithoutLastCommas(std::string text) {
  size_t comma = std::string::npos;  // that nothing follows so far
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (const size_t past = PastComment(text, i); past != i) {
      i = past - 1;
    } else if (c == '"') {
      comma = std::string::npos;
      while (++i < text.size() && text[i] != '"') i += text[i] == '\\' ? 1 : 0;
    } else if (c == ',') {
      comma = i;
    } else if ((c == '}' || c == ']') && comma != std::string::npos) {
      text[comma] = ' ';
      comma = std::string::npos;
    } else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      comma = std::string::npos;
    }
  }
  return text;
}

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string At(const std::string& directory, const std::string& path) {
  const std::filesystem::path joined = std::filesystem::path(fmt::format("{}/", directory)) / path;
  std::string normal = joined.lexically_normal().string();
  if (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

// The file that "extends" names in `path`: one beside it, or of a package; "" where none is seen.
std::string Extended(FileTree& files, const std::string& path, const std::string& name) {
  std::vector<std::string> places;
  if (name.starts_with('.') || name.starts_with('/')) {
    places = {At(DirectoryOf(path), name)};
  } else {
    for (std::string at = DirectoryOf(path);; at = DirectoryOf(at)) {
      places.push_back(fmt::format("{}/node_modules/{}", at, name));
      if (at.empty()) break;
    }
  }
  for (const std::string& place : places) {
    for (const char* ending : {"", ".json", "/tsconfig.json"}) {
      if (files.Stat(place + ending) == FileTree::Kind::kFile) return place + ending;
    }
  }
  return "";
}

// What files say together: the later the more it counts.
struct TsConfigReader {
  FileTree& files;
  ordered_json options = ordered_json::object();
  std::string base_url, paths_from;
  ordered_json paths = ordered_json::object();
  std::optional<ModuleError> error = {};
  std::vector<std::string> open = {};  // each extends the next
  size_t read = 0;

  void Read(const std::string& path, const std::string& top) {
    if (std::find(open.begin(), open.end(), path) != open.end() || ++read > kMostFiles) return;
    const auto text = files.ReadFile(path);
    if (!text) return;
    open.push_back(path);
    const auto json = ordered_json::parse(WithoutLastCommas(*text), nullptr, false, true);
    if (!json.is_object()) {
      error = ModuleError{"ERR_INVALID_TSCONFIG", fmt::format("{} is no JSON object", path)};
      open.pop_back();
      return;
    }
    const auto extends = json.find("extends");
    if (extends != json.end()) {
      const auto names = extends->is_array() ? *extends : ordered_json::array({*extends});
      for (const auto& name : names) {
        if (!name.is_string()) continue;
        const std::string other = Extended(files, path, name.get<std::string>());
        if (!other.empty()) Read(other, top);
      }
    }
    const auto own = json.find("compilerOptions");
    if (own != json.end() && own->is_object()) Merge(*own, path, top);
    open.pop_back();
  }

  void Merge(const ordered_json& own, const std::string& path, const std::string& top) {
    for (const char* name : kHeeded) {
      const auto value = own.find(name);
      if (value != own.end() && (value->is_string() || value->is_boolean())) options[name] = *value;
    }
    const auto here = [&](std::string where) {
      constexpr std::string_view kTop = "${configDir}";
      if (where.starts_with(kTop)) return At(top, fmt::format(".{}", where.substr(kTop.size())));
      return At(DirectoryOf(path), where);
    };
    const auto base = own.find("baseUrl");
    if (base != own.end() && base->is_string()) base_url = here(base->get<std::string>());
    const auto named = own.find("paths");
    if (named == own.end() || !named->is_object()) return;
    paths = ordered_json::object();
    for (const auto& [pattern, targets] : named->items()) {
      for (const auto& target : targets) {
        if (!target.is_string()) continue;
        const std::string text = target.get<std::string>();
        const bool based = !base_url.empty() && !text.starts_with("${");
        paths[pattern].push_back(based ? At(base_url, text) : here(text));
      }
    }
  }
};

}  // namespace

TsConfig TsConfig::Find(FileTree& files, const std::string& directory) {
  TsConfig config;
  for (std::string at = directory;; at = DirectoryOf(at)) {
    const std::string path = fmt::format("{}/tsconfig.json", at);
    if (files.Stat(path) == FileTree::Kind::kFile) {
      TsConfigReader reader{.files = files};
      reader.Read(path, at);
      config.options_ = reader.options.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
      config.base_url_ = reader.base_url;
      config.error_ = reader.error;
      for (const auto& [pattern, targets] : reader.paths.items())
        config.paths_.emplace_back(pattern, targets.get<std::vector<std::string>>());
      return config;
    }
    if (at.empty()) return config;
  }
}

TsConfig::Places TsConfig::PlacesOf(const std::string& specifier) const {
  // The pattern with the longest beginning counts, and one without a star before all.
  const std::pair<std::string, std::vector<std::string>>* best = nullptr;
  size_t length = 0;
  std::string match;
  for (const auto& mapping : paths_) {
    const std::string& pattern = mapping.first;
    const size_t star = pattern.find('*');
    if (star == std::string::npos) {
      if (pattern != specifier) continue;
      best = &mapping;
      match = "";
      break;
    }
    const std::string_view tail = std::string_view(pattern).substr(star + 1);
    if (specifier.size() < pattern.size() - 1 || !specifier.starts_with(pattern.substr(0, star)) ||
        !specifier.ends_with(tail) || (best != nullptr && star < length))
      continue;
    best = &mapping;
    length = star;
    match = specifier.substr(star, specifier.size() - (pattern.size() - 1));
  }
  Places places;
  if (best != nullptr) {
    places.named = best->first != "*";
    for (std::string place : best->second) {
      if (const size_t star = place.find('*'); star != std::string::npos)
        place.replace(star, 1, match);
      places.paths.push_back(At("", place));
    }
  }
  if (!base_url_.empty()) places.paths.push_back(At(base_url_, specifier));
  // No file has such a name.
  std::erase_if(places.paths, [](const std::string& path) { return path.find('\0') != path.npos; });
  places.named = places.named && !places.paths.empty();
  return places;
}

}  // namespace postern::worker
