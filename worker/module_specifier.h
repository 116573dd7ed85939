// Module specifiers: what an import means, as a function of texts.
#pragma once

#include <string>
#include <string_view>
#include <variant>

namespace postern::worker {

// Before the name of a module of the runtime's own, as in "postern:sockets".
inline constexpr std::string_view kBuiltin = "postern:";

struct ModuleError {
  std::string code, message;  // of the Error that the import throws
};

// The URL that `specifier` means in the module `importer` (a URL): a file: URL, or one of a
// builtin.
std::variant<std::string, ModuleError> ResolveSpecifier(const std::string& specifier,
                                                        const std::string& importer);

// The absolute path of a file: URL; empty where it has none: another scheme, a host, or an encoded
// slash or zero byte, which no path can hold.
std::string PathOfUrl(const std::string& url);

}  // namespace postern::worker
