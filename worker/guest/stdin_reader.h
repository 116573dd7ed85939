// StdinReader: the guest's side of its stdin, a pipe that the supervisor fills once it is asked to.
#pragma once

#include <string>

#include "worker/engine/event_loop.h"

namespace postern::worker {

class StdinReader : public EventLoop::Source {
 public:
  // `give` gets each piece that was wanted, or an empty one at the end.
  explicit StdinReader(std::function<void(std::string)> give) : give_(std::move(give)) {}

  // A piece of at most `most` bytes is wanted, none where that is 0; whether that keeps the run
  // going.
  void Request(size_t most, bool keeps_going);
  // Waits for at most `most` bytes; none at the end.
  std::string ReadNow(size_t most);

  void WaitSet(const std::function<void(int, short)>& want) override;
  void OnReady(const std::function<short(int)>& ready, double waited) override;
  double Deadline() const override { return std::numeric_limits<double>::infinity(); }
  bool Pending() const override { return wanted_ > 0 && keeps_going_; }

 private:
  void SendReadsStdin();

  const std::function<void(std::string)> give_;
  size_t wanted_ = 0;  // bytes
  bool asked_ = false, keeps_going_ = true;
};

}  // namespace postern::worker
