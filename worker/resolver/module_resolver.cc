#include "worker/resolver/module_resolver.h"

#include <ada.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/format.h"
#include "base/text.h"
#include "worker/resolver/tsconfig.h"

namespace postern::worker {
namespace {

using nlohmann::ordered_json;

constexpr int kMaxDepth = 64;  // of conditions inside of conditions

constexpr std::string_view kNodeModules[] = {"assert",
                                             "assert/strict",
                                             "async_hooks",
                                             "buffer",
                                             "child_process",
                                             "cluster",
                                             "console",
                                             "constants",
                                             "crypto",
                                             "dgram",
                                             "diagnostics_channel",
                                             "dns",
                                             "dns/promises",
                                             "domain",
                                             "events",
                                             "fs",
                                             "fs/promises",
                                             "http",
                                             "http2",
                                             "https",
                                             "inspector",
                                             "inspector/promises",
                                             "module",
                                             "net",
                                             "os",
                                             "path",
                                             "path/posix",
                                             "path/win32",
                                             "perf_hooks",
                                             "process",
                                             "punycode",
                                             "querystring",
                                             "readline",
                                             "readline/promises",
                                             "repl",
                                             "stream",
                                             "stream/consumers",
                                             "stream/promises",
                                             "stream/web",
                                             "string_decoder",
                                             "sys",
                                             "timers",
                                             "timers/promises",
                                             "tls",
                                             "trace_events",
                                             "tty",
                                             "url",
                                             "util",
                                             "util/types",
                                             "v8",
                                             "vm",
                                             "wasi",
                                             "worker_threads",
                                             "zlib"};

// What to do in place of an import by another runtime's scheme.
std::string InsteadOf(const std::string& specifier) {
  for (const std::string_view scheme : {"npm:", "jsr:"}) {
    if (!specifier.starts_with(scheme)) continue;
    std::string name = specifier.substr(scheme.size());
    if (name.starts_with('/')) name.erase(0, 1);
    const std::string install = (scheme == "jsr:" ? "npx jsr add " : "npm install ") + name;
    // The version of npm:name@1.2 is npm's to remember.
    return fmt::format(": {}, and import '{}'", install, name.substr(0, name.find('@', 1)));
  }
  if (specifier.starts_with("http://") || specifier.starts_with("https://"))
    return ": nothing is imported over the network; download it, or install its package, and "
           "import "
           "the file";
  if (specifier.starts_with("bun:") || specifier.starts_with("cloudflare:"))
    return ": that is a module of another runtime";
  return "";
}

bool IsPathLike(const std::string& specifier) {
  return specifier.starts_with("./") || specifier.starts_with("../") ||
         specifier.starts_with("/") || specifier == "." || specifier == "..";
}

// Whether a module may name others as TypeScript and bundlers let it. Packages that are installed
// are not written for one project's tsconfig.json.
bool IsOfProject(const std::string& importer) {
  const std::string path = importer.substr(0, importer.find_first_of("?#"));
  if (path.find("/node_modules/") != std::string::npos) return false;
  const char* const kEndings[] = {".ts", ".mts", ".cts", ".tsx", ".jsx"};
  return std::any_of(std::begin(kEndings), std::end(kEndings),
                     [&](const char* ending) { return path.ends_with(ending); });
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "" : path.substr(0, slash);
}

// Whether an exports target stays within its package: no "." , ".." or node_modules segment,
// encoded or not.
bool Escapes(std::string_view target) {
  std::string lower(target);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  for (const auto& [code, text] :
       {std::pair{"%2e", "."}, {"%2f", "/"}, {"%5c", "/"}, {"\\", "/"}}) {
    for (size_t at; (at = lower.find(code)) != std::string::npos;)
      lower.replace(at, std::string_view(code).size(), text);
  }
  for (size_t at = 0; at <= lower.size();) {
    const size_t slash = std::min(lower.find('/', at), lower.size());
    const std::string_view segment = std::string_view(lower).substr(at, slash - at);
    if (segment == "." || segment == ".." || segment == "node_modules") return true;
    at = slash + 1;
  }
  return false;
}

// PATTERN_KEY_COMPARE: the more particular pattern first.
bool MoreParticular(const std::string& a, const std::string& b) {
  const size_t base_a = a.find('*'), base_b = b.find('*');
  if (base_a != base_b) return base_a > base_b;
  return a.size() > b.size();
}

std::string Joined(const std::string& directory, std::string_view relative) {
  if (relative.starts_with("./")) relative.remove_prefix(2);
  return fmt::format("{}/{}", directory, relative);
}

// The name of a package at the start of a bare specifier, and "." with what follows it; empty where
// it is none.
std::pair<std::string, std::string> SplitBare(const std::string& specifier) {
  size_t end = specifier.find('/');
  if (specifier.starts_with('@')) {
    if (end == std::string::npos) return {};
    end = specifier.find('/', end + 1);
  }
  const std::string name = specifier.substr(0, end);
  if (name.empty() || name.starts_with('.') || name.find_first_of("\\%") != std::string::npos)
    return {};
  return {name, end == std::string::npos ? "." : fmt::format(".{}", specifier.substr(end))};
}

}  // namespace

struct ModuleResolver::Package {
  ordered_json json;   // an object
  bool valid = false;  // or the file has no such
  std::string Text(const char* key) const {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
  }
  const ordered_json* Value(const char* key) const {
    const auto found = json.find(key);
    return found == json.end() || found->is_null() ? nullptr : &*found;
  }
};

namespace {
// `whence`: " while importing …", or "".
ModuleError InvalidPackage(const std::string& directory, const std::string& whence = "") {
  return {"ERR_INVALID_PACKAGE_CONFIG",
          fmt::format("Invalid package config {}/package.json{}: it is no JSON object", directory,
                      whence)};
}
}  // namespace

bool IsNodeBuiltin(std::string_view name) {
  return std::find(std::begin(kNodeModules), std::end(kNodeModules), name) !=
         std::end(kNodeModules);
}

namespace {

std::string Nearest(const std::string& name) {
  return postern::Nearest(name, {std::begin(kNodeModules), std::end(kNodeModules)});
}

// The one of Node's own modules that was meant by a name without "node:"; a package whose name is
// nearly that of one is none.
std::string NearestBuiltin(const std::string& specifier) {
  const size_t slash = specifier.find('/');
  if (slash == std::string::npos || !IsNodeBuiltin(specifier.substr(0, slash))) return {};
  return Nearest(specifier);
}

}  // namespace

std::string PathOfUrl(const std::string& url) {
  const auto parsed = ada::parse<ada::url_aggregator>(url);
  if (!parsed || parsed->get_protocol() != "file:" || !parsed->get_hostname().empty()) return {};
  const std::string_view path = parsed->get_pathname();
  for (size_t at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 1)) {
    const std::string_view code = path.substr(at + 1, 2);
    if (code == "2f" || code == "2F" || code == "00") return {};
  }
  return ada::unicode::percent_decode(path, path.find('%'));
}

std::string UrlOfPath(const std::string& path) {
  std::string escaped;
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#' || c == '\\' || c == '\n' || c == '\r' || c == '\t') {
      constexpr char kHex[] = "0123456789ABCDEF";
      escaped += {'%', kHex[static_cast<uint8_t>(c) >> 4], kHex[static_cast<uint8_t>(c) & 15]};
    } else {
      escaped += c;
    }
  }
  auto url = ada::parse<ada::url_aggregator>("file:///");
  url->set_pathname(escaped);
  return std::string(url->get_href());
}

ModuleResolver::ModuleResolver(FileTree& files) : files_(files) {}
ModuleResolver::~ModuleResolver() = default;

void ModuleResolver::SetProject(const std::string& directory) {
  project_ = directory == "/" ? "" : directory;
  config_.reset();
}

const TsConfig& ModuleResolver::Project() {
  if (!config_) config_ = std::make_unique<TsConfig>(TsConfig::Find(files_, project_));
  return *config_;
}

const ModuleResolver::Package* ModuleResolver::PackageIn(const std::string& directory) {
  const auto known = packages_.find(directory);
  if (known != packages_.end()) return known->second.get();
  std::shared_ptr<Package>& package = packages_[directory];
  if (const auto text = files_.ReadFile(fmt::format("{}/package.json", directory))) {
    auto json = ordered_json::parse(*text, nullptr, false);
    const bool valid = json.is_object();
    package =
        std::make_shared<Package>(Package{valid ? std::move(json) : ordered_json::object(), valid});
  }
  return package.get();
}

const ModuleResolver::Package* ModuleResolver::ScopeOf(const std::string& path,
                                                       std::string* directory) {
  for (std::string at = DirectoryOf(path);; at = DirectoryOf(at)) {
    if (at.ends_with("/node_modules")) return nullptr;
    if (const Package* package = PackageIn(at)) {
      *directory = at;
      return package;
    }
    if (at.empty()) return nullptr;
  }
}

ModuleResolver::Url ModuleResolver::PackageType(const std::string& path) {
  // Code that is in no file is of no package.
  if (IsCode(path)) return "";
  std::string directory;
  const Package* package = ScopeOf(path, &directory);
  if (package != nullptr && !package->valid) return InvalidPackage(directory);
  const std::string type = package == nullptr ? "" : package->Text("type");
  return type == "module" || type == "commonjs" ? type : "";
}

std::variant<FileFormat, ModuleError> ModuleResolver::FormatOf(const std::string& path) {
  const auto ends = [&](std::string_view suffix) { return path.ends_with(suffix); };
  if (ends(".mjs")) return FileFormat{ModuleFormat::kModule};
  if (ends(".cjs")) return FileFormat{ModuleFormat::kCommonJs};
  if (ends(".json")) return FileFormat{ModuleFormat::kJson};
  if (ends(".mts")) return FileFormat{ModuleFormat::kModule, true};
  if (ends(".cts")) return FileFormat{ModuleFormat::kCommonJs, true};
  if (ends(".node"))
    return ModuleError{"ERR_NATIVE_ADDON",
                       fmt::format("{} is a native addon, which a guest cannot load: use a package "
                                   "that is JavaScript or WebAssembly alone",
                                   path)};
  if (ends(".wasm"))
    return ModuleError{
        "ERR_MODULE_TYPE",
        fmt::format("{} is WebAssembly: read its bytes and give them to WebAssembly.instantiate",
                    path)};
  const bool typescript = ends(".ts") || ends(".tsx") || ends(".jsx");
  const std::string name = path.substr(path.rfind('/') + 1);
  if (name.rfind('.') != std::string::npos && name.rfind('.') != 0 && !typescript && !ends(".js"))
    return ModuleError{
        "ERR_UNKNOWN_FILE_EXTENSION",
        fmt::format("{} has an extension that no code has: import it with {{ type: 'text' }} for "
                    "its text; name ES modules .mjs, CommonJS .cjs, TypeScript .ts",
                    path)};
  const auto of_package = PackageType(path);
  if (const auto* error = std::get_if<ModuleError>(&of_package)) return *error;
  const std::string& type = std::get<std::string>(of_package);
  if (type == "module") return FileFormat{ModuleFormat::kModule, typescript};
  return FileFormat{ModuleFormat::kCommonJs, typescript, type.empty()};
}

std::string ModuleResolver::Hint(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string name = path.substr(slash + 1);
  if (files_.Stat(path) == FileTree::Kind::kDirectory) {
    for (const char* index : {"/index.js", "/index.mjs", "/index.ts", "/index.tsx"}) {
      if (files_.Stat(path + index) == FileTree::Kind::kFile)
        return fmt::format("it is a directory; did you mean {}{}?", name, index);
    }
    return "it is a directory";
  }
  for (const char* extension : {".js", ".mjs", ".cjs", ".json", ".ts", ".mts", ".tsx", ".jsx"}) {
    if (files_.Stat(path + extension) == FileTree::Kind::kFile)
      return fmt::format("did you mean {}{}? An import names the whole file", name, extension);
  }
  if (path.ends_with(".js") &&
      files_.Stat(fmt::format("{}ts", path.substr(0, path.size() - 2))) == FileTree::Kind::kFile)
    return fmt::format("did you mean {}ts? An import names the file as it is",
                       name.substr(0, name.size() - 2));
  return {};
}

std::string ModuleResolver::WhereCodeLooks(const std::string& importer) {
  const std::string path = PathOfUrl(importer.substr(0, importer.find(']') + 1));
  if (path.empty() || !IsCode(path)) return {};
  const std::string directory = DirectoryOf(path);
  if (!directory.empty() && files_.Stat(directory) == FileTree::Kind::kDirectory) return {};
  return fmt::format("code that is in no file imports from its working directory, which is {}",
                     directory.empty() ? "/: add --mount=. --cwd=. for the present one"
                                       : fmt::format("{}: add --mount={}", directory, directory));
}

ModuleResolver::Url ModuleResolver::Resolve(const std::string& specifier,
                                            const std::string& importer, How how) {
  return Settle(Find(specifier, importer, how), specifier, importer);
}

// A module is known by the path that it has without links: what it imports is looked for from
// there.
ModuleResolver::Url ModuleResolver::Settle(Url found, const std::string& specifier,
                                           const std::string& importer) {
  auto* url = std::get_if<std::string>(&found);
  if (url == nullptr || url->starts_with(kBuiltin) || url->starts_with(kNodeBuiltin) ||
      url->starts_with(kData))
    return found;
  const std::string path = PathOfUrl(*url);
  if (path.empty())
    return ModuleError{"ERR_INVALID_MODULE_SPECIFIER",
                       fmt::format("\"{}\" is no file that {} could import", specifier, importer)};
  if (const std::string real = files_.RealPath(path); real != path)
    *url = UrlOfPath(real) + url->substr(std::min(url->find_first_of("?#"), url->size()));
  return found;
}

ModuleResolver::Url ModuleResolver::Find(const std::string& specifier, const std::string& importer,
                                         How how) {
  if (IsPathLike(specifier) || specifier.starts_with("file:")) {
    const auto base = ada::parse<ada::url_aggregator>(importer);
    // For require, a path is a path: "%" and "?" mean themselves.
    const std::string reference =
        how == How::kRequire && !specifier.starts_with("file:")
            ? UrlOfPath(specifier.starts_with('/')
                            ? specifier
                            : fmt::format("{}/{}", DirectoryOf(PathOfUrl(importer)), specifier))
            : specifier;
    const auto url = ada::parse<ada::url_aggregator>(reference, base ? &*base : nullptr);
    return url ? File(std::string(url->get_href()), specifier, importer, how) : Url();
  }
  if (specifier.starts_with(kNodeBuiltin)) {
    const std::string name = specifier.substr(kNodeBuiltin.size());
    const std::string nearest = IsNodeBuiltin(name) ? "" : Nearest(name);
    if (nearest.empty()) return specifier;
    return ModuleError{
        "ERR_UNKNOWN_BUILTIN_MODULE",
        fmt::format("there is no module {} in a guest (imported from {}); did you mean 'node:{}'?",
                    specifier, importer, nearest)};
  }
  if (specifier.starts_with(kBuiltin)) return specifier;
  if (IsNodeBuiltin(specifier)) return std::string(kNodeBuiltin) + specifier;
  if (IsOfProject(importer)) {
    Url mapped = Mapped(specifier);
    const auto* url = std::get_if<std::string>(&mapped);
    if (url == nullptr || !url->empty()) return mapped;
  }
  if (importer.starts_with(kData) && !ada::can_parse(specifier))
    return ModuleError{
        "ERR_UNSUPPORTED_RESOLVE_REQUEST",
        fmt::format("\"{}\" is looked for in no directory: a data: URL imported it", specifier)};
  if (specifier.starts_with('#')) return Internal(specifier, importer, how);
  if (const auto url = ada::parse<ada::url_aggregator>(specifier)) {
    if (how == How::kImport && url->get_protocol() == kData) return std::string(url->get_href());
    if (url->get_protocol() == kData)
      return ModuleError{"ERR_UNSUPPORTED_ESM_URL_SCHEME",
                         fmt::format("a data: URL is imported, not required, and this is CommonJS: "
                                     "write await import('data:…') (required from {})",
                                     importer)};
    return ModuleError{
        "ERR_UNSUPPORTED_ESM_URL_SCHEME",
        fmt::format("only files and data: URLs can be imported, not {} (imported from {}){}",
                    specifier, importer, InsteadOf(specifier))};
  }
  if (specifier.starts_with("@/") || specifier.starts_with("~/"))
    return ModuleError{
        "ERR_MODULE_NOT_FOUND",
        fmt::format("'{}' is an alias that a bundler knows, or a tsconfig.json (imported from {}): "
                    "import the file by its relative path, or name it in package.json, "
                    "\"imports\": {{\"#{}\": \"./src/{}\"}}",
                    specifier, importer, specifier.substr(2), specifier.substr(2))};
  return Bare(specifier, importer, how);
}

ModuleResolver::Url ModuleResolver::File(const std::string& url, const std::string& specifier,
                                         const std::string& importer, How how) {
  const bool typescript = IsOfProject(importer);
  if (how == How::kImport && !typescript) return url;
  const std::string path = PathOfUrl(url);
  if (path.empty()) return url;
  std::optional<std::string> found;
  if (typescript) found = AsTypeScript(path);
  if (found && *found == path) return url;
  if (found) return UrlOfPath(*found) + url.substr(std::min(url.find_first_of("?#"), url.size()));
  if (how == How::kImport) return url;
  if (!path.ends_with('/')) found = AsFile(path);
  if (found) return UrlOfPath(*found);
  if (auto main = AsDirectory(path.ends_with('/') ? path.substr(0, path.size() - 1) : path))
    return *std::move(main);
  const bool denied = files_.Stat(path) == FileTree::Kind::kDenied;
  const std::string where = specifier.starts_with('/') ? "" : WhereCodeLooks(importer);
  return ModuleError{
      "MODULE_NOT_FOUND",
      fmt::format("cannot find the module '{}' (required from {}){}", specifier, importer,
                  !where.empty() ? fmt::format(": {}", where)
                  : denied       ? fmt::format(": {}", OutsideMounts(path))
                                 : "")};
}

std::optional<std::string> ModuleResolver::AsTypeScript(const std::string& path) {
  const auto is_file = [&](const std::string& at) {
    return files_.Stat(at) == FileTree::Kind::kFile;
  };
  if (!path.ends_with('/')) {
    // What is there under the very name is meant.
    if (is_file(path)) return path;
    constexpr std::pair<std::string_view, std::string_view> kSources[] = {
        {".js", ".ts"}, {".js", ".tsx"}, {".jsx", ".tsx"}, {".mjs", ".mts"}, {".cjs", ".cts"}};
    for (const auto& [compiled, source] : kSources) {
      if (!path.ends_with(compiled)) continue;
      const std::string at = path.substr(0, path.size() - compiled.size()) + std::string(source);
      if (is_file(at)) return at;
    }
  }
  const std::string directory = path.ends_with('/') ? path : fmt::format("{}/", path);
  for (const std::string& stem : {path, fmt::format("{}index", directory)}) {
    if (stem.ends_with('/')) continue;
    for (const char* ending : {".ts", ".tsx", ".mts", ".cts", ".js", ".mjs", ".cjs", ".jsx"}) {
      if (is_file(stem + ending)) return stem + ending;
    }
  }
  return std::nullopt;
}

ModuleResolver::Url ModuleResolver::Mapped(const std::string& specifier) {
  const TsConfig& project = Project();
  if (project.error()) return *project.error();
  const TsConfig::Places places = project.PlacesOf(specifier);
  for (const std::string& place : places.paths) {
    if (const auto found = AsTypeScript(place)) return UrlOfPath(*found);
  }
  if (places.named && files_.Stat(places.paths.front()) == FileTree::Kind::kDenied)
    return ModuleError{"ERR_MODULE_NOT_FOUND",
                       fmt::format("tsconfig.json says that '{}' is {}: {}", specifier,
                                   places.paths.front(), OutsideMounts(places.paths.front()))};
  return "";
}

std::optional<std::string> ModuleResolver::AsFile(const std::string& path) {
  for (const char* extension : {"", ".js", ".json", ".cjs", ".ts", ".cts", ".tsx", ".jsx"}) {
    if (files_.Stat(path + extension) == FileTree::Kind::kFile) return path + extension;
  }
  return std::nullopt;
}

std::optional<ModuleResolver::Url> ModuleResolver::AsDirectory(const std::string& path) {
  if (files_.Stat(path) != FileTree::Kind::kDirectory) return std::nullopt;
  if (const Package* package = PackageIn(path)) {
    if (!package->valid) return InvalidPackage(path);
    if (auto main = Main(*package, path, How::kRequire)) return UrlOfPath(*main);
  }
  if (auto index = AsFile(fmt::format("{}/index", path))) return UrlOfPath(*index);
  return std::nullopt;
}

std::optional<std::string> ModuleResolver::Main(const Package& package,
                                                const std::string& directory, How how) {
  const std::string main = package.Text("main");
  if (!main.empty()) {
    const std::string path = Joined(directory, main);
    if (auto file = AsFile(path)) return file;
    if (auto index = AsFile(
            fmt::format("{}/index", path.ends_with('/') ? path.substr(0, path.size() - 1) : path)))
      return index;
  }
  return how == How::kRequire ? std::nullopt : AsFile(fmt::format("{}/index", directory));
}

ModuleResolver::Url ModuleResolver::Bare(const std::string& specifier, const std::string& importer,
                                         How how) {
  const auto [name, subpath] = SplitBare(specifier);
  const std::string missing_code =
      how == How::kImport ? "ERR_MODULE_NOT_FOUND" : "MODULE_NOT_FOUND";
  if (name.empty())
    return ModuleError{
        "ERR_INVALID_MODULE_SPECIFIER",
        fmt::format("\"{}\" is no name of a package (imported from {})", specifier, importer)};
  const std::string path = PathOfUrl(importer);
  const auto unfold = [&, subpath = subpath, name = name](const Package* package,
                                                          const std::string& directory) -> Url {
    Found found;
    if (package != nullptr && !package->valid)
      return InvalidPackage(directory, how == How::kImport
                                           ? fmt::format(" while importing \"{}\" from {}",
                                                         specifier, PathOfUrl(importer))
                                           : "");
    if (package != nullptr && package->Value("exports") != nullptr) {
      found = Exports(*package, directory, subpath, how);
      if (std::holds_alternative<std::monostate>(found))
        return ModuleError{
            "ERR_PACKAGE_PATH_NOT_EXPORTED",
            fmt::format("the package '{}' does not export {} (\"exports\" in "
                        "{}/package.json; imported from {})",
                        name, subpath == "." ? "a main module" : fmt::format("\"{}\"", subpath),
                        directory, importer)};
      if (auto* error = std::get_if<ModuleError>(&found)) return *error;
      return UrlOfPath(std::get<std::string>(found));
    }
    if (subpath != ".") {
      const std::string file = directory + subpath.substr(1);
      if (how == How::kImport && !IsOfProject(importer)) {
        const auto base =
            ada::parse<ada::url_aggregator>(UrlOfPath(fmt::format("{}/package.json", directory)));
        const auto url = ada::parse<ada::url_aggregator>(subpath, &*base);
        return url ? std::string(url->get_href()) : "";
      }
      if (auto as_file = AsFile(file)) return UrlOfPath(*as_file);
      if (auto as_directory = AsDirectory(file)) return *std::move(as_directory);
    } else if (how == How::kRequire) {
      if (auto main = AsDirectory(directory)) return *std::move(main);
    } else if (package != nullptr) {
      if (auto main = Main(*package, directory, how)) return UrlOfPath(*main);
    } else if (auto index = AsFile(fmt::format("{}/index", directory))) {
      return UrlOfPath(*index);
    }
    return ModuleError{
        missing_code,
        fmt::format("the package '{}' in {} has no {} (imported from {})", name, directory,
                    subpath == "." ? "main module" : fmt::format("\"{}\"", subpath), importer)};
  };
  // A package may import itself by its own name, through its exports.
  std::string own;
  if (const Package* scope = ScopeOf(path, &own); scope != nullptr) {
    if (!scope->valid) return InvalidPackage(own);
    if (scope->Text("name") == name && scope->Value("exports") != nullptr)
      return unfold(scope, own);
  }
  bool denied = false;
  for (std::string at = DirectoryOf(path);; at = DirectoryOf(at)) {
    if (!at.ends_with("/node_modules")) {
      const std::string directory = fmt::format("{}/node_modules/{}", at, name);
      const FileTree::Kind kind = files_.Stat(directory);
      if (kind == FileTree::Kind::kDirectory) return unfold(PackageIn(directory), directory);
      if (kind == FileTree::Kind::kDenied &&
          files_.Stat(fmt::format("{}/node_modules", at)) == FileTree::Kind::kDirectory)
        return ModuleError{
            missing_code,
            fmt::format("the package '{}' imported from {} is a link: {}", name, importer,
                        files_.WhyDenied(fmt::format("{}/package.json", directory)))};
      denied = denied || kind == FileTree::Kind::kDenied;
    }
    if (at.empty()) break;
  }
  if (const std::string builtin = NearestBuiltin(specifier); !builtin.empty())
    return ModuleError{
        missing_code,
        fmt::format("cannot find the module '{}' imported from {}; did you mean '{}'?", specifier,
                    importer, builtin)};
  if (const std::string where = WhereCodeLooks(importer); !where.empty())
    return ModuleError{
        missing_code,
        fmt::format(
            "cannot find the package '{}' imported from {}: {}, where npm install {} puts it", name,
            importer, where, name)};
  return ModuleError{
      missing_code,
      fmt::format(
          "cannot find the package '{}' imported from {}: {}", name, importer,
          denied ? fmt::format(
                       "it is in no node_modules that the program sees; install it (npm install "
                       "{}), or add --mount=DIR for the directory whose node_modules has it",
                       name)
                 : fmt::format("install it beside the code (npm install {}), or import a file by "
                               "its relative path ('./{}')",
                               name, specifier))};
}

ModuleResolver::Url ModuleResolver::Internal(const std::string& specifier,
                                             const std::string& importer, How how) {
  std::string directory;
  const Package* package = ScopeOf(PathOfUrl(importer), &directory);
  if (package != nullptr && !package->valid) return InvalidPackage(directory);
  const ordered_json* imports = package == nullptr ? nullptr : package->Value("imports");
  Found found;
  if (specifier != "#" && !specifier.starts_with("#/") && imports != nullptr &&
      imports->is_object())
    found = MatchKeys(*imports, directory, specifier, true, how);
  if (auto* error = std::get_if<ModuleError>(&found)) return *error;
  if (auto* url = std::get_if<std::string>(&found)) {
    if (url->starts_with('/')) return UrlOfPath(*url);
    // A target that is no path of this package is the name of another, or of a builtin.
    if (url->starts_with(kNodeBuiltin)) return *url;
    if (IsNodeBuiltin(*url)) return std::string(kNodeBuiltin) + *url;
    return Bare(*url, UrlOfPath(fmt::format("{}/package.json", directory)), how);
  }
  return ModuleError{
      "ERR_PACKAGE_IMPORT_NOT_DEFINED",
      fmt::format("\"{}\" is not among the \"imports\" of {}", specifier,
                  package == nullptr
                      ? fmt::format("a package: {} is in none", importer)
                      : fmt::format("{}/package.json (imported from {})", directory, importer))};
}

ModuleResolver::Found ModuleResolver::Exports(const Package& package, const std::string& directory,
                                              const std::string& subpath, How how) {
  const ordered_json& exports = *package.Value("exports");
  const bool keyed =
      exports.is_object() && !exports.empty() && exports.begin().key().starts_with('.');
  if (keyed) return MatchKeys(exports, directory, subpath, false, how);
  if (subpath != ".") return std::monostate{};
  return Target(exports, directory, "", false, how, 0);
}

ModuleResolver::Found ModuleResolver::MatchKeys(const ordered_json& keys,
                                                const std::string& directory,
                                                const std::string& wanted, bool imports, How how) {
  if (const auto exact = keys.find(wanted);
      exact != keys.end() && wanted.find('*') == std::string::npos && !wanted.ends_with('/'))
    return Target(*exact, directory, "", imports, how, 0);
  std::string best;
  for (const auto& [key, target] : keys.items()) {
    const size_t star = key.find('*');
    if (star == std::string::npos || key.find('*', star + 1) != std::string::npos) continue;
    const std::string_view tail = std::string_view(key).substr(star + 1);
    if (wanted.size() < key.size() || !wanted.starts_with(key.substr(0, star)) ||
        !wanted.ends_with(tail))
      continue;
    if (best.empty() || MoreParticular(key, best)) best = key;
  }
  if (best.empty()) return std::monostate{};
  const size_t star = best.find('*');
  const std::string match = wanted.substr(star, wanted.size() - (best.size() - 1));
  return Target(keys[best], directory, match, imports, how, 0);
}

ModuleResolver::Found ModuleResolver::Target(const ordered_json& target,
                                             const std::string& directory,
                                             const std::string& pattern, bool imports, How how,
                                             int depth) {
  const auto invalid = [&](const std::string& text) {
    return ModuleError{
        "ERR_INVALID_PACKAGE_TARGET",
        fmt::format("\"{}\" in {}/package.json leads to no file of that package", text, directory)};
  };
  if (depth > kMaxDepth) return invalid("…");
  if (target.is_string()) {
    std::string text = target.get<std::string>();
    const auto filled = [&](std::string where) {
      for (size_t at = where.find('*'); at != std::string::npos && !pattern.empty();
           at = where.find('*', at + pattern.size()))
        where.replace(at, 1, pattern);
      return where;
    };
    if (!text.starts_with("./")) {
      if (!imports || text.starts_with("../") || text.starts_with('/') || ada::can_parse(text)) {
        if (imports && text.starts_with(kNodeBuiltin)) return text;
        return invalid(text);
      }
      return filled(text);
    }
    if (Escapes(std::string_view(text).substr(2)) || Escapes(pattern)) return invalid(filled(text));
    return Joined(directory, filled(text));
  }
  if (target.is_object()) {
    for (const auto& [condition, value] : target.items()) {
      const bool holds = condition == "default" || condition == "postern" || condition == "node" ||
                         condition == "module-sync" ||
                         condition == (how == How::kImport ? "import" : "require");
      if (!holds) continue;
      Found found = Target(value, directory, pattern, imports, how, depth + 1);
      if (!std::holds_alternative<std::monostate>(found)) return found;
      // null says that there is nothing; an object without a condition that holds lets the next one
      // speak.
      if (value.is_null()) return found;
    }
    return std::monostate{};
  }
  if (target.is_array()) {
    Found last = std::monostate{};
    for (const auto& value : target) {
      last = Target(value, directory, pattern, imports, how, depth + 1);
      if (std::holds_alternative<std::string>(last)) return last;
    }
    return last;
  }
  if (target.is_null()) return std::monostate{};
  return invalid(target.dump());
}

}  // namespace postern::worker
