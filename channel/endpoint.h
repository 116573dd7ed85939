// Endpoint: an Http2Session on two non-blocking pipes, without an event loop of its own.
//
// Its owner's loop (Asio in a broker, poll in a guest) says when a pipe is ready and asks what to
// wait for. Nothing here blocks: what a full pipe does not take is kept, bounded by one batch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "channel/http2_session.h"

namespace postern::channel {

// Makes a pipe end non-blocking.
Status SetNonBlocking(int fd);
// Grows a pipe towards `bytes`; EPERM (an unprivileged user's quota, pipe(7)) leaves it as it is.
void GrowPipe(int fd, int bytes);

inline constexpr int kActivePipeBytes = 1024 * 1024;

class Endpoint {
 public:
  // `in` and `out` must be non-blocking.
  Endpoint(Http2Session::Role role, uint32_t max_streams, Http2Session::Observer& handler,
           UniqueFd in, UniqueFd out)
      : session_(role, max_streams, handler), in_(std::move(in)), out_(std::move(out)) {}

  Http2Session& session() { return session_; }
  int in() const { return in_.get(); }
  int out() const { return out_.get(); }

  enum class ReadOutcome { kAgain, kMore, kClosed };
  // Reads once, unless something is left of the last time, and feeds the session. kMore: call
  // again, after others had their turn. An error ends the channel.
  Result<ReadOutcome> Read();
  // Whether Read has something to do without the pipe's being readable.
  bool HasUnread() const { return unread_at_ < unread_.size(); }
  // Writes what the session has to say until it is done (true) or the pipe is full (false).
  Result<bool> Flush();

 private:
  // Writes what the pipe takes; returns how much that was.
  Result<size_t> Write(std::string_view bytes);

  Http2Session session_;
  UniqueFd in_;
  UniqueFd out_;
  std::string unread_;  // received, and left for the next turn
  size_t unread_at_ = 0;
  std::string pending_;
  size_t pending_at_ = 0;
};

}  // namespace postern::channel
