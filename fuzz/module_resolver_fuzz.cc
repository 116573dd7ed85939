// An import, the module that it stands in and the package.json and tsconfig.json of everything, one
// line each: a URL whose path a mount can be asked for, or an error with a code. What was resolved
// resolves to itself.
#include "worker/resolver/module_resolver.h"

namespace {

using namespace postern::worker;

class OnePackage : public FileTree {
 public:
  explicit OnePackage(std::string json) : json_(std::move(json)) {}
  Kind Stat(const std::string& path) override {
    for (const char* ending : {".js", ".ts", ".json"}) {
      if (path.ends_with(ending)) return Kind::kFile;
    }
    return path.size() > 100 ? Kind::kDenied : Kind::kDirectory;
  }
  std::string WhyDenied(const std::string& path) override { return path + " is outside"; }
  std::optional<std::string> ReadFile(const std::string&) override { return json_; }
  // Every src is a link to lib.
  std::string RealPath(const std::string& path) override {
    std::string real = path;
    for (size_t at; (at = real.find("/src/")) != std::string::npos;) real.replace(at, 5, "/lib/");
    return real;
  }

 private:
  std::string json_;
};

void Check(ModuleResolver& resolver, const std::string& specifier, const std::string& importer,
           ModuleResolver::How how) {
  const auto result = resolver.Resolve(specifier, importer, how);
  if (const auto* error = std::get_if<ModuleError>(&result)) {
    if (error->code.empty() || error->message.empty()) __builtin_trap();
    return;
  }
  const auto& url = std::get<std::string>(result);
  if (url.starts_with(kBuiltin) || url.starts_with(kNodeBuiltin) || url.starts_with(kData)) return;
  const std::string path = PathOfUrl(url);
  if (!path.starts_with("/") || path.find('\0') != std::string::npos) __builtin_trap();
  for (size_t at = path.find("/.."); at != std::string::npos; at = path.find("/..", at + 1)) {
    if (at + 3 == path.size() || path[at + 3] == '/') __builtin_trap();  // it would climb
  }
  resolver.FormatOf(path);
  const auto again = resolver.Resolve(url, "file:///elsewhere/x.mjs", ModuleResolver::How::kImport);
  const auto* same = std::get_if<std::string>(&again);
  if (same == nullptr || *same != url) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  const size_t second = line == std::string::npos ? line : text.find('\n', line + 1);
  OnePackage files(second == std::string::npos ? "{}" : text.substr(second + 1));
  ModuleResolver resolver(files);
  const std::string specifier = text.substr(0, line);
  const std::string importer =
      line == std::string::npos
          ? "file:///app/main.mjs"
          : text.substr(line + 1, second == std::string::npos ? second : second - line - 1);
  Check(resolver, specifier, importer, ModuleResolver::How::kImport);
  Check(resolver, specifier, importer, ModuleResolver::How::kRequire);
  return 0;
}
