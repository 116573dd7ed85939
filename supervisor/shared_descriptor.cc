#include "supervisor/shared_descriptor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "base/eintr.h"
#include "base/format.h"

namespace postern::supervisor {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

// PIPE_BUF: a pipe that is writable takes as much without blocking.
constexpr size_t kWriteBytes = 4096;

bool IsTerminalOrPipe(int fd) {
  struct stat st {};
  return ::isatty(fd) == 1 || (::fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode));
}

}  // namespace

SharedDescriptor::SharedDescriptor(boost::asio::io_context& io, int fd, Use use)
    : use_(use), fd_(fd) {
  // A terminal or pipe is opened once more where that is allowed: this one may not block.
  if (IsTerminalOrPipe(fd)) {
    own_.reset(
        ::open(fmt::format("/proc/self/fd/{}", fd).c_str(),
               (use == Use::kRead ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (own_.valid()) fd_ = own_.get();
  }
  // Asio would make what it waits for non-blocking; of an epoll instance that is nobody's concern.
  UniqueFd ready(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event wanted{.events = use == Use::kRead ? EPOLLIN : EPOLLOUT, .data = {}};
  // EPERM: a file or /dev/null, which never make one wait.
  if (!ready.valid() || ::epoll_ctl(ready.get(), EPOLL_CTL_ADD, fd_, &wanted) != 0) return;
  ready_ = std::make_unique<Descriptor>(io, ready.release());
}

void SharedDescriptor::Await(std::function<void(bool)> ready) {
  if (!ready_) return ready(true);
  ready_->async_wait(
      Descriptor::wait_read,
      [ready = std::move(ready)](const boost::system::error_code& error) { ready(!error); });
}

bool SharedDescriptor::IsReady() const {
  pollfd p{fd_, static_cast<short>(use_ == Use::kRead ? POLLIN : POLLOUT), 0};
  return !ready_ || own_.valid() || Uninterrupted([&] { return ::poll(&p, 1, 0); }) == 1;
}

ssize_t SharedDescriptor::Read(std::span<char> bytes) {
  const ssize_t n = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (n >= 0 || errno != ENOTSOCK) return n;
  if (IsReady()) return ::read(fd_, bytes.data(), bytes.size());
  errno = EAGAIN;
  return -1;
}

ssize_t SharedDescriptor::Write(std::string_view bytes) {
  const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n >= 0 || errno != ENOTSOCK) return n;
  const bool blocks = ready_ && !own_.valid();
  if (IsReady())
    return ::write(fd_, bytes.data(), blocks ? std::min(kWriteBytes, bytes.size()) : bytes.size());
  errno = EAGAIN;
  return -1;
}

}  // namespace postern::supervisor
