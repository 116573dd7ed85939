// fmt itself. With its headers alone its functions are inline: those that <fmt/core.h> declares for
// others to link are kept by their addresses.
#define FMT_HEADER_ONLY
#include "base/format.h"

#include <fmt/format.h>

namespace postern {
namespace {

[[gnu::used]] std::string (*const kVformat)(fmt::string_view, fmt::format_args) = &fmt::vformat;
[[gnu::used]] void (*const kVprint)(std::FILE*, fmt::string_view, fmt::format_args) = &fmt::vprint;
[[gnu::used]] auto* const kVformatTo = &fmt::detail::vformat_to<char>;

}  // namespace
}  // namespace postern
