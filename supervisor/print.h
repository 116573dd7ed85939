// Print: what a command has to say, on stdout.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "base/eintr.h"
#include "base/result.h"

namespace postern::supervisor {

// All of `text`, or the reason why not: a full disk, or nobody who reads.
inline Status Print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = Uninterrupted([&] { return ::write(1, text.data(), text.size()); });
    if (n < 0) return SystemError("cannot write to standard output");
    text.remove_prefix(static_cast<size_t>(n));
  }
  return Ok{};
}

// The exit status of a command whose output is `text`: `status`, or 125 where it cannot be written.
inline int PrintAndExit(std::string_view text, int status) {
  const Status printed = Print(text);
  if (printed) return status;
  std::fprintf(stderr, "postern: %s\n", printed.error().message.c_str());
  return 125;
}

}  // namespace postern::supervisor
