// Text is put together by fmt: fmt::format, fmt::print, fmt::format_to_n, with formats that are
// checked when compiling. Of fmt only <fmt/core.h>, which is small: numbers, texts and their widths
// are all that we format. What it calls is compiled once (base/format.cc), so that no program loads
// a library for it and no file compiles it again.
#pragma once

#include <fmt/core.h>

#include <cstdio>
#include <exception>
#include <utility>

namespace postern {

// fmt::print on stderr, which throws where nobody reads any more: there is nowhere to say so.
template <typename... Values>
void PrintError(fmt::format_string<Values...> format, Values&&... values) {
  try {
    fmt::print(stderr, format, std::forward<Values>(values)...);
  } catch (const std::exception&) {
  }
}

}  // namespace postern
