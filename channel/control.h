// Control socket: how the supervisor talks with the processes it started (zygote, brokers).
//
// A SOCK_SEQPACKET Unix socket carries one message (channel/control_messages.h) a datagram: a fixed
// header (number, size of the payload, id, a, b), an optional payload and up to kMaxFds descriptors
// (SCM_RIGHTS). Guests never hold such a socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/descriptor_rights.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "channel/control_messages.h"

namespace postern::channel {

inline constexpr size_t kMaxPayload = 96 * 1024;  // below the default SO_SNDBUF (212 992 bytes)

// What a datagram begins with, in the machine's byte order.
struct ControlHeader {
  uint32_t number;
  uint32_t payload_size;
  uint64_t id;
  int64_t a;
  int64_t b;
};

// A message as its datagram: the payload is of the message itself where it is a text there.
struct EncodedControl {
  explicit EncodedControl(const ControlMessage& message);
  EncodedControl(const EncodedControl&) = delete;
  EncodedControl& operator=(const EncodedControl&) = delete;

  ControlHeader header{};
  std::string_view payload;

 private:
  std::string made_;
};
// The message of a datagram; an error where it is none that is known, a field has a value that its
// member cannot have, or one that no member travels in is not 0.
Result<ControlMessage> DecodeControl(std::string_view datagram);

struct ReceivedControl {
  ControlMessage message;
  std::vector<UniqueFd> fds;
  bool lost_fds = false;  // it came with descriptors that this process cannot have; `fds` is empty
};

// A connected pair, both ends O_CLOEXEC.
Result<std::pair<UniqueFd, UniqueFd>> MakeControlPair();

// Sends one message; `fds` are borrowed. Fails with EAGAIN where the socket is non-blocking and
// full.
Status SendControl(int socket, const ControlMessage& message, const std::vector<int>& fds = {});

// Receives one message. nullopt: the other side is gone. EAGAIN is an error with that errnum.
// A malformed datagram is an error (EBADMSG); its descriptors are closed. One whose descriptors do
// not all find room in this process (RLIMIT_NOFILE) is a message all the same, with `lost_fds`.
Result<std::optional<ReceivedControl>> ReceiveControl(int socket);

}  // namespace postern::channel
