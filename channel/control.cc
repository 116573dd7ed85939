#include "channel/control.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>

namespace postern::channel {
namespace {

struct Header {
  uint32_t type;
  uint32_t payload_size;
  uint64_t id;
  int64_t a;
  int64_t b;
};

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> MakeControlPair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return SystemError("cannot make a control socket");
  }
  return std::pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Status SendControl(int socket, const ControlMessage& message, const std::vector<int>& fds) {
  if (message.payload.size() > kMaxPayload) return Error{"control message too large", EMSGSIZE};
  Header header{static_cast<uint32_t>(message.type), static_cast<uint32_t>(message.payload.size()),
                message.id, message.a, message.b};
  std::array<iovec, 2> parts{{{&header, sizeof header},
                              {const_cast<char*>(message.payload.data()), message.payload.size()}}};
  DescriptorRights rights;
  msghdr msg{};
  msg.msg_iov = parts.data();
  msg.msg_iovlen = parts.size();
  if (Status attached = rights.Attach(msg, fds); !attached) return attached;
  for (;;) {
    if (::sendmsg(socket, &msg, MSG_NOSIGNAL) >= 0) return Ok{};
    if (errno != EINTR) return SystemError("cannot send a control message");
  }
}

Result<std::optional<ControlMessage>> ReceiveControl(int socket) {
  static thread_local std::array<char, sizeof(Header) + kMaxPayload> buffer;
  DescriptorRights rights;
  iovec part{buffer.data(), buffer.size()};
  msghdr msg{};
  msg.msg_iov = &part;
  msg.msg_iovlen = 1;
  rights.MakeRoom(msg);
  ssize_t size;
  bool reset = false;
  do {
    size = ::recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
    // ECONNRESET once: the other side left with messages unread. What it said before is still here.
  } while (size < 0 && (errno == EINTR || (errno == ECONNRESET && !std::exchange(reset, true))));
  if (size < 0) {
    if (errno == ECONNRESET) return std::optional<ControlMessage>{};
    return SystemError("cannot receive a control message");
  }
  ControlMessage message;
  message.fds = DescriptorRights::Receive(msg);
  message.lost_fds = (msg.msg_flags & MSG_CTRUNC) != 0;
  if (message.lost_fds) message.fds.clear();
  if (size == 0) return std::optional<ControlMessage>{};
  Header header;
  if (static_cast<size_t>(size) < sizeof header || (msg.msg_flags & MSG_TRUNC) != 0) {
    return Error{"malformed control message", EBADMSG};
  }
  std::memcpy(&header, buffer.data(), sizeof header);
  if (header.payload_size != static_cast<size_t>(size) - sizeof header) {
    return Error{"malformed control message", EBADMSG};
  }
  message.type = static_cast<ControlType>(header.type);
  message.id = header.id;
  message.a = header.a;
  message.b = header.b;
  message.payload.assign(buffer.data() + sizeof header, header.payload_size);
  return std::optional<ControlMessage>(std::move(message));
}

}  // namespace postern::channel
