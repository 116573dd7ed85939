#include "broker/guest_channel.h"

#include <boost/asio/post.hpp>

namespace postern::broker {

GuestChannel::GuestChannel(boost::asio::io_context& io, uint32_t max_streams,
                           channel::Http2Session::Handler& handler, UniqueFd in, UniqueFd out,
                           std::function<void()> ended)
    : io_(io),
      endpoint_(channel::Http2Session::Role::kServer, max_streams, handler, std::move(in),
                std::move(out)),
      reader_(io, endpoint_.in(), [this](bool, bool) { Readable(); }),
      writer_(io, endpoint_.out(), [this](bool, bool) { Flush(); }),
      ended_(std::move(ended)) {
  reader_.Want(true, false);
  FlushSoon();
}

void GuestChannel::FlushSoon() {
  if (flush_queued_ || over_) return;
  flush_queued_ = true;
  boost::asio::post(io_, [this, alive = alive_] {
    if (!*alive) return;
    flush_queued_ = false;
    Flush();
  });
}

void GuestChannel::Readable() {
  if (over_) return;
  // Once a turn: a guest that writes without end gets its turn like any other.
  const auto outcome = endpoint_.Read();
  if (!outcome || *outcome == channel::Endpoint::ReadOutcome::kClosed) return End();
  if (endpoint_.HasUnread() && !read_queued_) {
    read_queued_ = true;
    boost::asio::post(io_, [this, alive = alive_] {
      if (!*alive) return;
      read_queued_ = false;
      Readable();
    });
  }
  Flush();
}

void GuestChannel::Flush() {
  if (over_) return;
  const auto done = endpoint_.Flush();
  if (!done || endpoint_.session().Done()) return End();
  writer_.Want(false, !*done);
}

void GuestChannel::End() {
  if (over_) return;
  over_ = true;
  reader_.Want(false, false);
  writer_.Want(false, false);
  boost::asio::post(io_, [this, alive = alive_] {
    if (*alive) ended_();  // destroys this
  });
}

}  // namespace postern::broker
