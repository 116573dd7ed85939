// Deadline: one point in time by which something must have happened. Setting it anew, as each
// request does, costs next to nothing: the timer is armed again only when it has expired too early.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>

namespace postern::loop {

class Deadline {
 public:
  Deadline(boost::asio::io_context& io, std::function<void()> passed)
      : state_(std::make_shared<State>(State{boost::asio::steady_timer(io), std::move(passed)})) {}
  ~Deadline() {
    state_->at = Clock::time_point::max();
    state_->passed = nullptr;
    state_->timer.cancel();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void SetAfter(std::chrono::milliseconds time) {
    state_->at = Clock::now() + time;
    if (!state_->armed || state_->at < state_->timer.expiry()) Arm(state_);
  }
  void Clear() { state_->at = Clock::time_point::max(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct State {
    boost::asio::steady_timer timer;
    std::function<void()> passed;
    Clock::time_point at = Clock::time_point::max();
    bool armed = false;
  };

  static void Arm(const std::shared_ptr<State>& s) {
    s->armed = true;
    s->timer.expires_at(s->at);
    s->timer.async_wait([s](const boost::system::error_code& error) {
      if (error) return;  // armed for an earlier time, or over
      s->armed = false;
      if (s->at == Clock::time_point::max()) return;
      if (Clock::now() < s->at) return Arm(s);
      s->at = Clock::time_point::max();
      if (s->passed) s->passed();
    });
  }

  std::shared_ptr<State> state_;
};

}  // namespace postern::loop
