#include "channel/endpoint.h"

#include <array>

namespace postern::channel {
namespace {

constexpr size_t kReadBytes = 256 * 1024;
constexpr size_t kBatchBytes = 128 * 1024;  // frames gathered into one write

constexpr size_t kLargeFrame = 32 * 1024;

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

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
  if (HasUnread()) {
    const auto taken = session_.ReceiveSome(Bytes(unread_).subspan(unread_at_));
    if (!taken) return taken.error();
    unread_at_ += *taken;
    if (!HasUnread()) {
      unread_.clear();
      unread_at_ = 0;
    }
    return ReadOutcome::kMore;
  }
  static thread_local std::array<uint8_t, kReadBytes> buffer;
  const ssize_t n = ::read(in_.get(), buffer.data(), buffer.size());
  if (n == 0) return ReadOutcome::kClosed;
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR) return ReadOutcome::kAgain;
    return SystemError("cannot read the channel");
  }
  const std::span<const uint8_t> bytes(buffer.data(), static_cast<size_t>(n));
  const auto taken = session_.ReceiveSome(bytes);
  if (!taken) return taken.error();
  unread_.assign(reinterpret_cast<const char*>(bytes.data()) + *taken, bytes.size() - *taken);
  return ReadOutcome::kMore;
}

Result<size_t> Endpoint::Write(std::string_view bytes) {
  size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t n = ::write(out_.get(), bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0 && errno != EINTR) return SystemError("cannot write to the channel");
    if (n > 0) written += static_cast<size_t>(n);
  }
  return written;
}

Result<bool> Endpoint::Flush() {
  for (;;) {
    if (pending_at_ < pending_.size()) {
      const auto written = Write(std::string_view(pending_).substr(pending_at_));
      if (!written) return written.error();
      pending_at_ += *written;
      if (pending_at_ < pending_.size()) return false;
    }
    pending_.clear();
    pending_at_ = 0;
    // Small frames are gathered into one write; a large one goes out as it lies in the session.
    while (pending_.size() < kBatchBytes) {
      const auto chunk = session_.NextOutput();
      if (!chunk) return chunk.error();
      const std::string_view bytes(reinterpret_cast<const char*>(chunk->data()), chunk->size());
      size_t written = 0;
      if (pending_.empty() && bytes.size() >= kLargeFrame) {
        const auto direct = Write(bytes);
        if (!direct) return direct.error();
        written = *direct;
        if (written == bytes.size()) continue;
      }
      pending_.append(bytes.substr(written));
      if (bytes.empty() || written > 0) break;
    }
    if (pending_.empty()) return true;
  }
}

}  // namespace postern::channel
