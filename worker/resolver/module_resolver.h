// ModuleResolver: what a specifier means (conditions: postern, node, module-sync, import or
// require, default): Node's algorithms for import and for require ("ECMAScript Modules", section
// Resolution Algorithm Specification; "ModuleLoader: Packages"), over a tree of files.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace postern::worker {

// Before the name of a module of the runtime's own, as in "postern:sockets", and of Node's.
inline constexpr std::string_view kBuiltin = "postern:";
inline constexpr std::string_view kNodeBuiltin = "node:";
inline constexpr std::string_view kData = "data:";

struct ModuleError {
  std::string code, message;  // of the Error that the import throws
};

// The files that modules are looked for in.
class FileTree {
 public:
  enum class Kind { kNone, kFile, kDirectory, kDenied };  // kDenied: outside of what is mounted
  virtual ~FileTree() = default;
  virtual Kind Stat(const std::string& path) = 0;
  // A sentence for what is kDenied.
  virtual std::string WhyDenied(const std::string& path) = 0;
  // The bytes of a file; nullopt where it cannot be read.
  virtual std::optional<std::string> ReadFile(const std::string& path) = 0;
  // The path that a file has without links; `path` itself where nothing can be read there.
  virtual std::string RealPath(const std::string& path) = 0;
};

// How a file is to be read, told by its extension and the nearest package.json.
enum class ModuleFormat { kModule, kCommonJs, kJson };
struct FileFormat {
  ModuleFormat format;
  bool typescript = false;   // or JSX: it has to become JavaScript first
  bool by_its_text = false;  // CommonJS, unless it is written as an ES module
};

class TsConfig;

class ModuleResolver {
 public:
  enum class How { kImport, kRequire };
  using Url = std::variant<std::string, ModuleError>;

  explicit ModuleResolver(FileTree& files);
  ~ModuleResolver();

  // The directory of the program: the tsconfig.json nearest above it counts for all files that are
  // in no node_modules.
  void SetProject(const std::string& directory);
  const TsConfig& Project();

  // The URL that `specifier` means in the module `importer` (a URL): of a file by its path without
  // links, or of a builtin. One that an import names and that is not there has its URL too.
  Url Resolve(const std::string& specifier, const std::string& importer, How how);
  // The two steps of Resolve: a URL, of a file by the path that leads to it, which may be none that
  // a file can have; and that file's, by its path without links.
  Url Find(const std::string& specifier, const std::string& importer, How how);
  Url Settle(Url found, const std::string& specifier, const std::string& importer);
  std::variant<FileFormat, ModuleError> FormatOf(const std::string& path);
  // "; did you mean ./x.js?" for a file that is not there, or "".
  std::string Hint(const std::string& path);
  // Where an import that finds nothing has looked, if `importer` (a URL, or a place in one) is code
  // that is in no file and whose directory it does not see; empty for any other.
  std::string WhereCodeLooks(const std::string& importer);
  // Whether the file's package says "type": "module", or "commonjs"; empty where it says nothing.
  Url PackageType(const std::string& path);

 private:
  struct Package;                                                        // a package.json
  using Found = std::variant<std::monostate, std::string, ModuleError>;  // nothing, a path

  const Package* PackageIn(const std::string& directory);
  // The nearest package.json upwards from `path`'s directory; its directory goes to `*directory`.
  const Package* ScopeOf(const std::string& path, std::string* directory);
  Url File(const std::string& url, const std::string& specifier, const std::string& importer,
           How how);
  Url Bare(const std::string& specifier, const std::string& importer, How how);
  Url Internal(const std::string& specifier, const std::string& importer, How how);
  Found Exports(const Package& package, const std::string& directory, const std::string& subpath,
                How how);
  Found MatchKeys(const nlohmann::ordered_json& keys, const std::string& directory,
                  const std::string& wanted, bool imports, How how);
  Found Target(const nlohmann::ordered_json& target, const std::string& directory,
               const std::string& pattern, bool imports, How how, int depth);
  // What TypeScript takes the path for, which may name what a file is compiled to, or none.
  std::optional<std::string> AsTypeScript(const std::string& path);
  // What the paths and the baseUrl of the project say of a name.
  Url Mapped(const std::string& specifier);
  std::optional<std::string> AsFile(const std::string& path);
  std::optional<Url> AsDirectory(const std::string& path);
  std::optional<std::string> Main(const Package& package, const std::string& directory, How how);

  FileTree& files_;
  std::string project_;               // a directory
  std::unique_ptr<TsConfig> config_;  // of the project, once it was asked for
  std::map<std::string, std::shared_ptr<Package>>
      packages_;  // by directory; null where there is none
};

// Whether `name` is one of Node's own modules, without "node:".
bool IsNodeBuiltin(std::string_view name);

// The absolute path of a file: URL; empty where it has none: another scheme, a host, or an encoded
// slash or zero byte, which no path can hold.
std::string PathOfUrl(const std::string& url);
std::string UrlOfPath(const std::string& path);

}  // namespace postern::worker
