#include "supervisor/forwarder.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include "supervisor/shared_descriptor.h"

namespace postern::supervisor {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;

constexpr size_t kPieceBytes = 64 * 1024;
constexpr size_t kMany = 1UL << 20, kMaxRoom = 256UL << 20;

class DescriptorSink : public std::enable_shared_from_this<DescriptorSink> {
 public:
  DescriptorSink(boost::asio::io_context& io, int fd, std::function<void(int)> failed)
      : to_(io, fd, SharedDescriptor::Use::kWrite), failed_(std::move(failed)) {}

  void Write(std::string_view piece, std::function<void(bool)> next) {
    if (piece.empty()) return next(true);
    to_.Await([self = shared_from_this(), piece, next = std::move(next)](bool can) mutable {
      const ssize_t n = can ? self->to_.Write(piece) : -1;
      const int error = !can ? ECANCELED : n < 0 && errno != EAGAIN && errno != EINTR ? errno : 0;
      if (error != 0) {
        self->failed_(error);
        return next(false);
      }
      self->Write(piece.substr(static_cast<size_t>(std::max<ssize_t>(n, 0))), std::move(next));
    });
  }

 private:
  SharedDescriptor to_;
  const std::function<void(int)> failed_;
};

}  // namespace

// Room that nobody writes to costs nothing; moving many bytes to a larger place does.
void Append(std::string& text, std::string_view piece, size_t most) {
  if (text.size() + piece.size() > text.capacity() && text.size() >= kMany)
    text.reserve(std::max(text.size() + piece.size(), std::min(most, kMaxRoom)));
  text.append(piece);
}

Forwarder::Sink Forwarder::ToDescriptor(boost::asio::io_context& io, int fd,
                                        std::function<void(int)> failed) {
  auto sink = std::make_shared<DescriptorSink>(io, fd, std::move(failed));
  return [sink](std::string_view piece, std::function<void(bool)> next) {
    sink->Write(piece, std::move(next));
  };
}

Forwarder::Sink Forwarder::ToText(std::string& text, size_t most) {
  return [&text, most](std::string_view piece, const std::function<void(bool)>& next) {
    Append(text, piece, most);
    next(true);
  };
}

std::shared_ptr<Forwarder> Forwarder::Start(boost::asio::io_context& io, UniqueFd from, Sink sink,
                                            std::function<bool(std::string_view)> count,
                                            std::function<void()> ended) {
  std::shared_ptr<Forwarder> forwarder(
      new Forwarder(io, std::move(from), std::move(sink), std::move(count), std::move(ended)));
  forwarder->Read();
  return forwarder;
}

Forwarder::Forwarder(boost::asio::io_context& io, UniqueFd from, Sink sink,
                     std::function<bool(std::string_view)> count, std::function<void()> ended)
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
        if (!self->count_(self->piece_)) return self->End();
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
