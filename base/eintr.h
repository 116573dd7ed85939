// Uninterrupted: a system call that is made again where a signal broke it off.
#pragma once

#include <cerrno>

namespace postern {

// Calls `call` until it gives something other than -1 with EINTR. Not for close(2), whose
// descriptor is gone in any case, nor for a wait whose time-out must not begin anew.
template <typename Call>
auto Uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

}  // namespace postern
