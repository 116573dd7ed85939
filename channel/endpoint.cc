#include "channel/endpoint.h"

#include <array>

namespace postern::channel {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kBatchBytes = 128 * 1024;  // frames gathered into one write

}  // namespace

Status SetNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
    return SystemError("cannot make a pipe non-blocking");
  return Ok{};
}

void GrowPipe(int fd, int bytes) {
  if (::fcntl(fd, F_SETPIPE_SZ, bytes) < 0) errno = 0;  // only slower
}

Result<Endpoint::ReadOutcome> Endpoint::Read() {
  static thread_local std::array<uint8_t, kReadBytes> buffer;
  const ssize_t n = ::read(in_.get(), buffer.data(), buffer.size());
  if (n == 0) return ReadOutcome::kClosed;
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR) return ReadOutcome::kAgain;
    return SystemError("cannot read the channel");
  }
  if (Status s = session_.Receive({buffer.data(), static_cast<size_t>(n)}); !s) return s.error();
  return ReadOutcome::kMore;
}

Result<bool> Endpoint::Flush() {
  for (;;) {
    if (pending_at_ == pending_.size()) {
      pending_.clear();
      pending_at_ = 0;
      while (pending_.size() < kBatchBytes) {
        const auto chunk = session_.NextOutput();
        if (!chunk) return chunk.error();
        if (chunk->empty()) break;
        pending_.append(reinterpret_cast<const char*>(chunk->data()), chunk->size());
      }
      if (pending_.empty()) return true;
    }
    const ssize_t n =
        ::write(out_.get(), pending_.data() + pending_at_, pending_.size() - pending_at_);
    if (n < 0) {
      if (errno == EAGAIN) return false;
      if (errno == EINTR) continue;
      return SystemError("cannot write to the channel");
    }
    pending_at_ += static_cast<size_t>(n);
  }
}

}  // namespace postern::channel
