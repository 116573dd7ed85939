// LoopWatch: runs an event loop and tells of every turn that held it up: nothing that a client or
// a guest sends may do that.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>

namespace postern::server {

class LoopWatch {
 public:
  using Duration = std::chrono::steady_clock::duration;
  static constexpr auto kStall = std::chrono::milliseconds(50);

  // `stalled` is told how long a turn took, and how much CPU time of that was its own: the rest it
  // waited, or others of this machine had.
  explicit LoopWatch(std::function<void(Duration took, Duration cpu)> stalled)
      : stalled_(std::move(stalled)) {}

  // As io.run().
  void Run(boost::asio::io_context& io);

 private:
  const std::function<void(Duration, Duration)> stalled_;
};

}  // namespace postern::server
