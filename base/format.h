// Text is put together by fmt: fmt::format, fmt::print, fmt::format_to_n, with formats that are
// checked when compiling. Of fmt only <fmt/core.h>, which is small: numbers, texts and their widths
// are all that we format. What it calls is compiled once (base/format.cc), so that no program loads
// a library for it and no file compiles it again.
#pragma once

#include <fmt/core.h>
