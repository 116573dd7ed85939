// SignalReader: signals that the guest listens for. They come as bytes, each a signal's number, on
// the pipe on which its order came; real ones never reach a guest.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "worker/engine/event_loop.h"

namespace postern::worker {

class SignalReader : public EventLoop::Source {
 public:
  // `give` gets the number of each signal that comes.
  explicit SignalReader(std::function<void(int)> give) : give_(std::move(give)) {}

  // The supervisor sends `signal` from now on, instead of ending the run for it.
  void Listen(int signal);

  void WaitSet(const std::function<void(int, short)>& want) override;
  void OnReady(const std::function<short(int)>& ready, double waited) override;
  double Deadline() const override { return std::numeric_limits<double>::infinity(); }
  bool Pending() const override { return false; }  // as in Node: a listener keeps nothing going

 private:
  const std::function<void(int)> give_;
  std::string heard_;  // the numbers, a byte each
};

}  // namespace postern::worker
