#include "supervisor/forwarder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

namespace postern::supervisor {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

constexpr size_t kPieceBytes = 64 * 1024;
// PIPE_BUF: a pipe that is writable takes as much without blocking.
constexpr size_t kWriteBytes = 4096;

bool IsTerminalOrPipe(int fd) {
  struct stat st {};
  return ::isatty(fd) == 1 || (::fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode));
}

// A program's user may share its stdout with others, which then must stay blocking for them. Asio
// would make it non-blocking to wait for it; an epoll(7) instance that has it does not.
class DescriptorSink : public std::enable_shared_from_this<DescriptorSink> {
 public:
  DescriptorSink(boost::asio::io_context& io, int fd) : fd_(fd) {
    // A terminal or pipe is opened once more where that is allowed: this one may not block.
    if (IsTerminalOrPipe(fd)) {
      own_.reset(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(),
                        O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
      if (own_.valid()) fd_ = own_.get();
    }
    UniqueFd writable(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event wanted{.events = EPOLLOUT, .data = {}};
    // EPERM: a file or /dev/null, which never make one wait.
    if (!writable.valid() || ::epoll_ctl(writable.get(), EPOLL_CTL_ADD, fd_, &wanted) != 0) return;
    writable_ = std::make_unique<Descriptor>(io, writable.release());
  }

  void Write(std::string_view piece, std::function<void(bool)> next) {
    if (piece.empty()) return next(true);
    if (!writable_) return Wrote(piece, ::write(fd_, piece.data(), piece.size()), std::move(next));
    writable_->async_wait(Descriptor::wait_read,
                          [self = shared_from_this(), piece,
                           next = std::move(next)](const boost::system::error_code& error) mutable {
                            if (error) return next(false);
                            self->Wrote(piece, self->TryWrite(piece), std::move(next));
                          });
  }

 private:
  // As write(2), EAGAIN where it would block.
  ssize_t TryWrite(std::string_view piece) const {
    if (own_.valid()) return ::write(fd_, piece.data(), piece.size());
    const ssize_t n = ::send(fd_, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0 || errno != ENOTSOCK) return n;
    pollfd p{fd_, POLLOUT, 0};
    if (::poll(&p, 1, 0) == 1)
      return ::write(fd_, piece.data(), std::min(kWriteBytes, piece.size()));
    errno = EAGAIN;
    return -1;
  }

  void Wrote(std::string_view piece, ssize_t n, std::function<void(bool)> next) {
    if (n < 0 && errno != EAGAIN && errno != EINTR) return next(false);
    Write(piece.substr(static_cast<size_t>(std::max<ssize_t>(n, 0))), std::move(next));
  }

  int fd_;
  UniqueFd own_;
  std::unique_ptr<Descriptor> writable_;  // an epoll instance; null where `fd_` is always ready
};

}  // namespace

Forwarder::Sink Forwarder::ToDescriptor(boost::asio::io_context& io, int fd) {
  auto sink = std::make_shared<DescriptorSink>(io, fd);
  return [sink](std::string_view piece, std::function<void(bool)> next) {
    sink->Write(piece, std::move(next));
  };
}

Forwarder::Sink Forwarder::ToText(std::string& text) {
  return [&text](std::string_view piece, const std::function<void(bool)>& next) {
    text.append(piece);
    next(true);
  };
}

std::shared_ptr<Forwarder> Forwarder::Start(boost::asio::io_context& io, UniqueFd from, Sink sink,
                                            std::function<bool(size_t)> count,
                                            std::function<void()> ended) {
  std::shared_ptr<Forwarder> forwarder(
      new Forwarder(io, std::move(from), std::move(sink), std::move(count), std::move(ended)));
  forwarder->Read();
  return forwarder;
}

Forwarder::Forwarder(boost::asio::io_context& io, UniqueFd from, Sink sink,
                     std::function<bool(size_t)> count, std::function<void()> ended)
    : io_(io),
      from_(io, from.release()),
      sink_(std::move(sink)),
      count_(std::move(count)),
      ended_(std::move(ended)) {}

void Forwarder::Read() {
  piece_.resize(kPieceBytes);
  from_.async_read_some(
      boost::asio::buffer(piece_),
      [self = shared_from_this()](const boost::system::error_code& error, size_t n) {
        if (self->over_) return;
        if (error || n == 0) return self->End();
        self->piece_.resize(n);
        if (!self->count_(n)) return self->End();
        self->sink_(self->piece_, [self](bool more) {
          if (self->over_) return;
          if (more) return self->Read();
          self->End();
        });
      });
}

void Forwarder::Stop() {
  over_ = true;
  ended_ = nullptr;
  boost::system::error_code ignored;
  from_.close(ignored);  // a guest that still writes learns that nobody reads
}

void Forwarder::End() {
  if (over_) return;
  auto ended = std::move(ended_);
  Stop();
  boost::asio::post(io_, std::move(ended));
}

}  // namespace postern::supervisor
