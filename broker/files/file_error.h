// Errors of system calls on a guest's files.
#pragma once

#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/format.h"
#include "base/result.h"

namespace postern::broker {

// "cannot WHAT PATH: REASON", with errno.
inline Error FileError(std::string_view what, std::string_view path) {
  const int errnum = errno;
  return Error{fmt::format("cannot {} {}: {}", what, path, std::strerror(errnum)), errnum};
}

}  // namespace postern::broker
