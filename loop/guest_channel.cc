#include "loop/guest_channel.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

namespace postern::loop {
namespace {

constexpr double kNoiseASecond = 2 << 20;
constexpr double kNoiseAtOnce = 128 << 10;
constexpr double kLongestPause = 0.25;  // seconds

size_t g_channels = 0;  // of this process, which serves them all in one loop

}  // namespace

GuestChannel::GuestChannel(boost::asio::io_context& io, channel::Http2Session::Role role,
                           uint32_t max_streams, channel::Http2Session::Observer& handler,
                           UniqueFd in, UniqueFd out, std::function<void()> ended)
    : io_(io),
      endpoint_(role, max_streams, handler, std::move(in), std::move(out)),
      reader_(io, endpoint_.in(), [this](bool, bool) { Readable(); }),
      writer_(io, endpoint_.out(), [this](bool, bool) { Flush(); }),
      ended_(std::move(ended)),
      pause_(io),
      noise_left_(kNoiseAtOnce) {
  ++g_channels;
  reader_.Watch(true, false);
  FlushSoon();
}

GuestChannel::~GuestChannel() {
  owner_.Leave();
  --g_channels;
}

void GuestChannel::FlushSoon() {
  if (flush_queued_ || over_) return;
  flush_queued_ = true;
  boost::asio::post(io_, owner_.WhileHere([this] {
    flush_queued_ = false;
    Flush();
  }));
}

void GuestChannel::Readable() {
  if (over_) return;
  // Once a turn: a guest that writes without end gets its turn like any other.
  const auto outcome = endpoint_.Read();
  if (!outcome || *outcome == channel::Endpoint::ReadOutcome::kClosed) return End();
  if (!PauseForNoise() && endpoint_.HasUnread()) ReadSoon();
  Flush();
}

void GuestChannel::ReadSoon() {
  if (std::exchange(read_queued_, true)) return;
  boost::asio::post(io_, owner_.WhileHere([this] {
    read_queued_ = false;
    Readable();
  }));
}

bool GuestChannel::PauseForNoise() {
  const auto noise = static_cast<double>(endpoint_.session().TakeNoise());
  if (noise == 0 || g_channels < 2) return false;
  const Clock::time_point now = Clock::now();
  const double passed = std::chrono::duration<double>(now - noise_at_).count();
  noise_at_ = now;
  noise_left_ = std::min(noise_left_ + passed * kNoiseASecond, kNoiseAtOnce) - noise;
  if (noise_left_ >= 0) return false;
  const double pause = std::min(-noise_left_ / kNoiseASecond, kLongestPause);
  reader_.Watch(false, false);
  pause_.expires_after(
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(pause)));
  pause_.async_wait(owner_.WhileHere([this](const boost::system::error_code& error) {
    if (error || over_) return;
    reader_.Watch(true, false);
    ReadSoon();
  }));
  return true;
}

void GuestChannel::Flush() {
  if (over_) return;
  const auto done = endpoint_.Flush();
  if (!done || endpoint_.session().Finished()) return End();
  writer_.Watch(false, !*done);
}

void GuestChannel::End() {
  if (over_) return;
  over_ = true;
  reader_.Watch(false, false);
  writer_.Watch(false, false);
  boost::asio::post(io_, owner_.WhileHere([this] { ended_(); }));  // destroys this
}

}  // namespace postern::loop
