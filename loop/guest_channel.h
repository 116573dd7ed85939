// GuestChannel: the trusted end of one guest's channel, on the Asio loop of a broker or of the
// supervisor.
//
// Everything that arrives is hostile: an error on it ends this channel only. A guest that does not
// read fills its pipe and its stream windows, and waits alone. One that floods its channel with
// what asks for nothing is read no faster than kNoiseASecond while there are others: a broker that
// is busy with it would be late for them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "channel/endpoint.h"
#include "loop/fd_watch.h"
#include "loop/owner.h"

namespace postern::loop {

class GuestChannel {
 public:
  // `ended` is called once, from the loop, when the channel is over; the owner then destroys this.
  GuestChannel(boost::asio::io_context& io, channel::Http2Session::Role role, uint32_t max_streams,
               channel::Http2Session::Observer& handler, UniqueFd in, UniqueFd out,
               std::function<void()> ended);
  ~GuestChannel();
  GuestChannel(const GuestChannel&) = delete;
  GuestChannel& operator=(const GuestChannel&) = delete;

  channel::Http2Session& session() { return endpoint_.session(); }
  // Writes what the session has to say, soon; any number of calls in one turn make one write.
  void FlushSoon();

 private:
  using Clock = std::chrono::steady_clock;

  void Readable();
  void ReadSoon();
  bool PauseForNoise();
  void Flush();
  void End();

  boost::asio::io_context& io_;
  channel::Endpoint endpoint_;
  FdWatch reader_;
  FdWatch writer_;
  std::function<void()> ended_;
  bool flush_queued_ = false, read_queued_ = false;
  bool over_ = false;
  boost::asio::steady_timer pause_;
  double noise_left_;  // bytes that may be noise
  Clock::time_point noise_at_ = Clock::now();
  Owner owner_;
};

}  // namespace postern::loop
