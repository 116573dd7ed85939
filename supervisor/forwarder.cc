#include "supervisor/forwarder.h"

#include <sys/stat.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include "base/eintr.h"

namespace postern::supervisor {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

constexpr size_t kPieceBytes = 64 * 1024;
// A pipe that is ready takes this much without blocking (PIPE_BUF, pipe(7)); so our clock never
// stops.
constexpr size_t kWriteBytes = 4096;

}  // namespace

Forwarder::Forwarder(boost::asio::io_context& io, UniqueFd from, Sink sink,
                     std::function<bool(size_t)> count, std::function<void()> ended)
    : io_(io),
      from_(io, from.release()),
      sink_(sink),
      count_(std::move(count)),
      ended_(std::move(ended)) {
  if (struct stat st{}; sink_.fd >= 0 && ::fstat(sink_.fd, &st) == 0 && !S_ISREG(st.st_mode)) {
    to_ = std::make_unique<Descriptor>(io);
    boost::system::error_code error;
    to_->assign(::fcntl(sink_.fd, F_DUPFD_CLOEXEC, 3), error);
    if (error) to_.reset();
  }
  Read();
}

Forwarder::~Forwarder() = default;

void Forwarder::Read() {
  piece_.resize(kPieceBytes);
  from_.async_read_some(boost::asio::buffer(piece_),
                        [this](const boost::system::error_code& error, size_t n) {
                          if (error || n == 0) return End();
                          piece_.resize(n);
                          at_ = 0;
                          if (!count_(n)) return End();
                          if (sink_.text != nullptr) {
                            sink_.text->append(piece_);
                            return Read();
                          }
                          Write();
                        });
}

void Forwarder::Write() {
  while (at_ < piece_.size()) {
    if (to_) {
      to_->async_wait(Descriptor::wait_write, [this](const boost::system::error_code& error) {
        if (error) {  // epoll takes no /dev/null and the like, which are always ready
          to_.reset();
          return Write();
        }
        const ssize_t n =
            ::write(sink_.fd, piece_.data() + at_, std::min(kWriteBytes, piece_.size() - at_));
        if (n < 0 && errno != EAGAIN && errno != EINTR) return End();
        if (n > 0) at_ += static_cast<size_t>(n);
        if (at_ == piece_.size()) return Read();
        Write();
      });
      return;
    }
    const ssize_t n =
        Uninterrupted([&] { return ::write(sink_.fd, piece_.data() + at_, piece_.size() - at_); });
    if (n < 0) return End();
    at_ += static_cast<size_t>(n);
  }
  Read();
}

void Forwarder::End() {
  if (over_) return;
  over_ = true;
  boost::system::error_code ignored;
  from_.close(ignored);  // a guest that still writes learns that nobody reads
  boost::asio::post(io_, ended_);
}

}  // namespace postern::supervisor
