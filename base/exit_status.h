// Exit statuses of Postern's programs that are not a guest's own.
#pragma once

namespace postern {

inline constexpr int kWrongUsage = 2;     // of the command line
inline constexpr int kBadInput = 3;       // a file or policy that cannot be used
inline constexpr int kCannotWrite = 4;    // output, a recording, a log or a report: a disk is full
inline constexpr int kCannotRun = 125;    // nothing ran, by no fault of a guest's
inline constexpr int kNobodyReads = 141;  // output: as if SIGPIPE had ended us

}  // namespace postern
