#include "worker/module_specifier.h"

#include <ada.h>

namespace postern::worker {
namespace {

ModuleError NoFile(const std::string& specifier, const std::string& importer) {
  return {"ERR_INVALID_MODULE_SPECIFIER",
          "\"" + specifier + "\" is no file that " + importer + " could import"};
}

bool IsPathLike(const std::string& specifier) {
  return specifier.starts_with("./") || specifier.starts_with("../") ||
         specifier.starts_with("/") || specifier == "." || specifier == "..";
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

std::variant<std::string, ModuleError> ResolveSpecifier(const std::string& specifier,
                                                        const std::string& importer) {
  if (IsPathLike(specifier) || specifier.starts_with("file:")) {
    const auto base = ada::parse<ada::url_aggregator>(importer);
    const auto url = ada::parse<ada::url_aggregator>(specifier, base ? &*base : nullptr);
    if (!url) return NoFile(specifier, importer);
    std::string href(url->get_href());
    if (PathOfUrl(href).empty()) return NoFile(specifier, importer);
    return href;
  }
  if (specifier.starts_with(kBuiltin)) return specifier;
  if (specifier.starts_with("node:")) {
    return ModuleError{
        "ERR_UNKNOWN_BUILTIN_MODULE",
        "there is no module " + specifier + " in a guest (imported from " + importer + ")"};
  }
  if (ada::can_parse(specifier)) {
    return ModuleError{
        "ERR_UNSUPPORTED_ESM_URL_SCHEME",
        "only files can be imported, not " + specifier + " (imported from " + importer + ")"};
  }
  return ModuleError{"ERR_MODULE_NOT_FOUND",
                     "cannot find the package '" + specifier + "' imported from " + importer +
                         ": packages are not resolved; import a file by its relative path ('./" +
                         specifier + "')"};
}

}  // namespace postern::worker
