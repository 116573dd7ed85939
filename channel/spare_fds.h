// The descriptors of a spare and of the guest it becomes: pipes, every one, made before its fork.
#pragma once

#include <array>

namespace postern::channel {

// Numbers in the guest. Its net broker may die: the next channel then takes its place, since a
// locked process can receive no descriptor.
inline constexpr int kStdin = 0, kStdout = 1, kStderr = 2;
inline constexpr int kResultFd = 3;
inline constexpr int kNetChannels = 3;
inline constexpr int NetIn(int channel) { return 4 + 2 * channel; }
inline constexpr int NetOut(int channel) { return 5 + 2 * channel; }
// In a guest that answers requests (GuestOrder::handler) the last of them is the supervisor's.
inline constexpr int kHandlerChannel = kNetChannels - 1;
inline constexpr int kFilesIn = 10, kFilesOut = 11;
inline constexpr int kOrderFd = 12;
inline constexpr int kSpareFdCount = 13;

// The supervisor gets the other end of each, in this order, and then a pidfd (SpareMade).
// True where the guest reads and the supervisor or a broker writes.
inline constexpr bool GuestReads(int fd) {
  return fd == kStdin || fd == kFilesIn || fd == kOrderFd || (fd >= 4 && fd < 10 && fd % 2 == 0);
}

}  // namespace postern::channel
