// DescriptorRights: the part of a message over a Unix socket that carries descriptors (SCM_RIGHTS,
// unix(7)). Whatever sends or receives descriptors does it by this: the room for them has one size.
#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/format.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace postern {

// Descriptors that one message carries, at most.
inline constexpr size_t kMaxFds = 16;

class DescriptorRights {
 public:
  // For sending: `fds` are borrowed, and go with `message` while this lives.
  Status Attach(msghdr& message, std::span<const int> fds) {
    if (fds.size() > kMaxFds)
      return Error{
          fmt::format("one message carries at most {} descriptors, not {}", kMaxFds, fds.size()),
          EINVAL};
    if (fds.empty()) return Ok{};
    message.msg_control = control_;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
    return Ok{};
  }

  // For receiving: `message` has room for as many as may come.
  void MakeRoom(msghdr& message) {
    message.msg_control = control_;
    message.msg_controllen = sizeof control_;
  }
  // Those that came with it. Where more were sent, or this process may have no more, the kernel has
  // closed the others and MSG_CTRUNC is set in `message`.
  static std::vector<UniqueFd> Receive(msghdr& message) {
    std::vector<UniqueFd> fds;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
        fds.emplace_back(fd);
      }
    }
    return fds;
  }

 private:
  alignas(cmsghdr) char control_[CMSG_SPACE(sizeof(int) * kMaxFds)] = {};
};

}  // namespace postern
