// What a guest says while it runs, before its result (channel/result_frame.h).
#pragma once

#include <unistd.h>

#include <string>
#include <string_view>

#include "base/eintr.h"
#include "channel/result_frame.h"
#include "channel/spare_fds.h"

namespace postern::worker {

// A pipe that is empty takes these few bytes at once; a supervisor that is gone takes this process
// with it.
inline void SayToSupervisor(channel::ResultTag tag, std::string_view bytes) {
  const std::string frame = channel::ResultFrame(tag, bytes);
  (void)Uninterrupted([&] { return ::write(channel::kResultFd, frame.data(), frame.size()); });
}

}  // namespace postern::worker
