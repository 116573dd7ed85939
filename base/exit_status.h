// Exit statuses of Postern's programs that are not a guest's own (`process.exit`).
#pragma once

namespace postern {

enum ExitStatus : int {
  kExitFailed = 1,
  kExitWrongUsage = 2,
  kExitBadInput = 3,
  kExitCannotWrite = 4,
  kExitTimeLimit = 124,      // as timeout(1)
  kExitCannotRun = 125,      // as docker run
  kExitKilled = 137,         // as a shell shows SIGKILL
  kExitNobodyReads = 141,    // as a shell shows SIGPIPE
  kExitForbiddenCall = 159,  // as a shell shows SIGSYS
};

struct ExitMeaning {
  ExitStatus status;
  const char* meaning;
};
// For the manual.
inline constexpr ExitMeaning kExitMeanings[] = {
    {kExitFailed, "the guest failed with an error"},
    {kExitWrongUsage, "wrong usage"},
    {kExitBadInput, "a file or policy that cannot be used"},
    {kExitCannotWrite, "output, a recording, a log or a report that cannot be written"},
    {kExitTimeLimit, "a time limit"},
    {kExitCannotRun, "it could not be run"},
    {kExitKilled, "memory, or killed"},
    {kExitNobodyReads, "nobody reads its output any more"},
    {kExitForbiddenCall, "a forbidden system call"},
};

}  // namespace postern
