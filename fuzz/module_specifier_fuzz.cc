// An import and the module that it stands in, one line each: a URL whose path a mount can be asked
// for, or an error with a code. What was resolved resolves to itself.
#include "worker/module_specifier.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace postern::worker;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  const std::string specifier = text.substr(0, line);
  const std::string importer =
      line == std::string::npos ? "file:///app/main.mjs" : text.substr(line + 1);
  const auto result = ResolveSpecifier(specifier, importer);
  if (const auto* error = std::get_if<ModuleError>(&result)) {
    if (error->code.empty() || error->message.empty()) __builtin_trap();
    return 0;
  }
  const auto& url = std::get<std::string>(result);
  if (url.starts_with(kBuiltin)) return 0;
  const std::string path = PathOfUrl(url);
  if (!path.starts_with("/") || path.find('\0') != std::string::npos) __builtin_trap();
  for (size_t at = path.find("/.."); at != std::string::npos; at = path.find("/..", at + 1)) {
    if (at + 3 == path.size() || path[at + 3] == '/') __builtin_trap();  // it would climb
  }
  const auto again = ResolveSpecifier(url, "file:///elsewhere/x.mjs");
  const auto* same = std::get_if<std::string>(&again);
  if (same == nullptr || *same != url) __builtin_trap();
  return 0;
}
