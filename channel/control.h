// Control socket: how the supervisor talks with the processes it started (zygote, brokers).
//
// A SOCK_SEQPACKET Unix socket carries one message a datagram: a fixed header (type, id, two
// numbers), an optional payload (JSON made by Postern itself, never by a guest) and up to kMaxFds
// descriptors (SCM_RIGHTS). Guests never hold such a socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/descriptor_rights.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace postern::channel {

// Who sends it, and what the fields mean, is said at each name. `id` is the spare's number.
enum class ControlType : uint32_t {
  // With a pidfd of the sender, where its launcher is another process.
  kReady = 1,  // child -> supervisor: confined and serving; payload: layers as JSON
  kFailed,     // child -> supervisor: cannot start; payload: the reason; `a` 1: the user's input
  kFork,    // supervisor -> zygote: make spare `id`; `a` 1: its order comes at once, and it is the
            // only one
  kSpare,   // zygote -> supervisor: spare `id`; fds: see channel/spare_fds.h
  kExited,  // zygote -> supervisor: `a` wait status, `b` peak resident KiB, payload: cpu us
  kBind,    // supervisor -> broker: serve guest `id`; fds: read end, write end, the policy as JSON
            // in a memfd; payload: the run's name in logs; `a` 1: kLines are wanted
  kEnded,   // broker -> supervisor: channel `id` closed; payload: usage as JSON. Or log ->
            // supervisor: all is written; payload: what was not, as JSON
  kDropGuest,  // supervisor -> broker: guest `id` is gone, end its channel and report kEnded
  kPing,       // supervisor -> broker
  kPong,       // broker -> supervisor
  kReopen,     // supervisor -> log: go on in this file; fds: the new one
  // kLines from a net broker to the supervisor: events of guest `id`; `b` how many were lost.
  kReport,  // log -> supervisor, before kEnded: a part of the policy that report mode found
  // On the net broker's socket to the log process:
  kLines,   // audit events, a JSON text a line; `a` the last one's number, `b` how many were lost
            // before them, `id` 1 where kLogged is asked for
  kEntry,   // a part of a recorded exchange; `a`: of what, a channel::EntryPart; `id` 1 for its
            // first part, `b` 1 for its last
  kLogged,  // log -> net broker: all up to number `a` are written; or `b`, an errno
  kUsage,   // net broker -> supervisor: what guest `id` has used until now; payload as of kEnded
};

// What a kEntry carries pieces of, in this order: the head is har::PackHead's.
enum EntryPart : int64_t { kEntryHead, kEntryRequestBody, kEntryResponseBody };

inline constexpr size_t kMaxPayload = 96 * 1024;  // below the default SO_SNDBUF (212 992 bytes)

struct ControlMessage {
  ControlType type{};
  uint64_t id = 0;
  int64_t a = 0;
  int64_t b = 0;
  std::string payload;
  std::vector<UniqueFd> fds;
  bool lost_fds = false;  // received: it came with descriptors that this process cannot have; `fds`
                          // is empty then
};

// A connected pair, both ends O_CLOEXEC.
Result<std::pair<UniqueFd, UniqueFd>> MakeControlPair();

// Sends one message; `fds` are borrowed. Fails with EAGAIN where the socket is non-blocking and
// full.
Status SendControl(int socket, const ControlMessage& message, const std::vector<int>& fds = {});

// Receives one message. nullopt: the other side is gone. EAGAIN is an error with that errnum.
// A malformed datagram is an error; its descriptors are closed. One whose descriptors do not all
// find room in this process (RLIMIT_NOFILE) is a message all the same, with `lost_fds`.
Result<std::optional<ControlMessage>> ReceiveControl(int socket);

}  // namespace postern::channel
