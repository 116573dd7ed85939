// Print: what a command has to say: its output on stdout, Postern's own words on stderr.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "base/eintr.h"
#include "base/exit_status.h"
#include "base/format.h"
#include "base/result.h"

namespace postern::cli {

// Why `what` (a file, "standard output") could not be written, and the exit status that tells it.
// Nothing where nobody reads any more: who has gone away asked for no more.
struct Unwritten {
  Unwritten(const std::string& what, int error)
      : exit_status(error == EPIPE || error == ECONNRESET ? kExitNobodyReads : kExitCannotWrite) {
    errno = error;
    if (exit_status == kExitCannotWrite)
      message = SystemError(fmt::format("cannot write {}", what)).message;
  }
  int exit_status;
  std::string message;
};

// On stderr, as far as somebody takes it within three seconds: a guest may have filled the pipe
// that nobody reads, and what is over must not wait for it.
void WriteStderr(std::string_view text);
// A sentence of Postern's own. What a guest, a server or a file said may be in it.
void Say(std::string_view sentence);

// All of `text`; an errno where that cannot be, else 0.
inline int WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = Uninterrupted([&] { return ::write(fd, text.data(), text.size()); });
    if (n < 0) return errno;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

// The exit status of a command whose output is `text`: `status`, where it can be written.
inline int PrintAndExit(std::string_view text, int status) {
  const int error = WriteAll(STDOUT_FILENO, text);
  if (error == 0) return status;
  const Unwritten unwritten("standard output", error);
  if (!unwritten.message.empty()) Say(unwritten.message);
  return unwritten.exit_status;
}

}  // namespace postern::cli
