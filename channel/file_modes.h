// The permission bits that a guest may give what it makes, and that it is shown of what is there:
// nobody but the owner writes, no file can be executed, and there are no set-uid, set-gid or sticky
// bits.
#pragma once

#include <cstdint>

namespace postern::channel {

inline constexpr uint32_t kFileModes = 0644;
inline constexpr uint32_t kDirectoryModes = 0755;

}  // namespace postern::channel
