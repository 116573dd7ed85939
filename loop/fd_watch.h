// FdWatch: tells a callback when a descriptor that belongs to somebody else (libcurl, c-ares) is
// ready.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>

namespace postern::loop {

class FdWatch {
 public:
  using Ready = std::function<void(bool readable, bool writable)>;

  FdWatch(boost::asio::io_context& io, int fd, Ready ready)
      : state_(std::make_shared<State>(
            State{boost::asio::posix::stream_descriptor(io, fd), std::move(ready)})) {}
  // The descriptor is let go of, never closed.
  ~FdWatch() {
    state_->alive = false;
    state_->descriptor.release();
  }
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

  void Watch(bool readable, bool writable) {
    state_->want_read = readable;
    state_->want_write = writable;
    Arm(state_);
  }

 private:
  struct State {
    boost::asio::posix::stream_descriptor descriptor;
    Ready ready;
    bool want_read = false, want_write = false;
    bool waiting_read = false, waiting_write = false;
    bool alive = true;
  };

  static void Arm(const std::shared_ptr<State>& s) {
    using Wait = boost::asio::posix::stream_descriptor;
    if (s->want_read && !s->waiting_read) {
      s->waiting_read = true;
      s->descriptor.async_wait(Wait::wait_read, [s](const boost::system::error_code&) {
        s->waiting_read = false;
        Fire(s, true);
      });
    }
    if (s->want_write && !s->waiting_write) {
      s->waiting_write = true;
      s->descriptor.async_wait(Wait::wait_write, [s](const boost::system::error_code&) {
        s->waiting_write = false;
        Fire(s, false);
      });
    }
  }

  static void Fire(const std::shared_ptr<State>& s, bool read) {
    if (!s->alive || !(read ? s->want_read : s->want_write)) return;
    s->ready(read, !read);  // may destroy the watch; `s` outlives it
    if (s->alive) Arm(s);
  }

  std::shared_ptr<State> state_;
};

}  // namespace postern::loop
