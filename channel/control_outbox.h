// ControlOutbox: messages on their way to a control socket that does not block. One that is full is
// no end: what it does not take waits here, in its order, until it does.
#pragma once

#include <fcntl.h>

#include <deque>

#include "channel/control.h"

namespace postern::channel {

class ControlOutbox {
 public:
  // What may wait. Who takes none of it for so long is stopped, or gone.
  static constexpr size_t kMaxMessages = 16 * 1024;
  static constexpr size_t kMaxBytes = 32UL << 20;

  explicit ControlOutbox(int socket) : socket_(socket) {}

  // Sends a message, or keeps it with duplicates of `fds`. An error: the other side is gone, or too
  // much waits already.
  Status Send(const ControlMessage& message, const std::vector<int>& fds = {}) {
    if (waiting_.empty()) {
      Status sent = SendControl(socket_, message, fds);
      if (sent || sent.error().errnum != EAGAIN) return sent;
    }
    return Keep(message, fds);
  }

  // Sends what waits, as far as the socket takes it. To be called when that is writable.
  Status Flush() {
    while (!waiting_.empty()) {
      const WaitingMessage& first = waiting_.front();
      std::vector<int> fds;
      for (const UniqueFd& fd : first.fds) fds.push_back(fd.get());
      const Status sent = SendControl(socket_, first.message, fds);
      if (!sent) return sent.error().errnum == EAGAIN ? Status(Ok{}) : sent;
      bytes_ -= first.bytes;
      waiting_.pop_front();
    }
    return Ok{};
  }

  bool empty() const { return waiting_.empty(); }

 private:
  struct WaitingMessage {
    ControlMessage message;
    std::vector<UniqueFd> fds;
    size_t bytes = 0;  // of its payload
  };

  Status Keep(const ControlMessage& message, const std::vector<int>& fds) {
    const auto* usage = std::get_if<UsageReport>(&message);
    if (usage != nullptr && Join(*usage)) return Ok{};
    const size_t bytes = EncodedControl(message).payload.size();
    if (waiting_.size() >= kMaxMessages || bytes_ + bytes > kMaxBytes)
      return Error{"the other side takes no messages", ENOBUFS};
    WaitingMessage kept{message, {}, bytes};
    for (const int fd : fds) {
      UniqueFd own(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
      if (!own.valid()) return SystemError("cannot keep a descriptor for a message");
      kept.fds.push_back(std::move(own));
    }
    bytes_ += kept.bytes;
    waiting_.push_back(std::move(kept));
    return Ok{};
  }

  // What a guest has used until now takes the place of what it had used before.
  bool Join(const UsageReport& report) {
    for (WaitingMessage& waiting : waiting_) {
      auto* earlier = std::get_if<UsageReport>(&waiting.message);
      if (earlier == nullptr || earlier->guest != report.guest) continue;
      earlier->usage = report.usage;
      bytes_ -= waiting.bytes;
      waiting.bytes = EncodedControl(waiting.message).payload.size();
      bytes_ += waiting.bytes;
      return true;
    }
    return false;
  }

  const int socket_;
  std::deque<WaitingMessage> waiting_;
  size_t bytes_ = 0;
};

}  // namespace postern::channel
