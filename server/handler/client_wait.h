// ClientWait: how long a guest has waited for a request's client: for the next piece of the body,
// or for the client to take what was answered. That time is the client's; all other time of a
// request is its guest's.
#pragma once

#include <chrono>
#include <cstddef>

namespace postern::server {

class ClientWait {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;
  // A client that moves so many bytes begins anew: one byte now and then is no progress.
  static constexpr size_t kProgress = 64 * 1024;

  // The guest has the whole body that is there, and there is more to come.
  void AwaitBody(Time now) { Set(true, untaken_, now); }
  // So much of the body has come.
  void BodyReceived(size_t bytes, Time now) {
    Set(false, untaken_, now);
    Progress(bytes, now);
  }
  // So much of the response is on its way to the client; the client has taken so much.
  void Sent(size_t bytes, Time now) { Set(awaits_body_, untaken_ + bytes, now); }
  void Delivered(size_t bytes, Time now) {
    Set(awaits_body_, untaken_ - bytes, now);
    Progress(bytes, now);
  }

  bool waiting() const { return awaits_body_ || untaken_ > 0; }
  // Since the client last made progress; zero where the guest does not wait for it now.
  Duration Total(Time now) const { return waiting() ? before_ + (now - since_) : Duration::zero(); }

 private:
  void Set(bool awaits_body, size_t untaken, Time now) {
    const bool waited = waiting();
    awaits_body_ = awaits_body;
    untaken_ = untaken;
    if (waiting() && !waited) since_ = now;
    if (!waiting() && waited) before_ += now - since_;
  }
  void Progress(size_t bytes, Time now) {
    moved_ += bytes;
    if (moved_ < kProgress) return;
    moved_ = 0;
    before_ = Duration::zero();
    since_ = now;
  }

  bool awaits_body_ = false;
  size_t untaken_ = 0;  // bytes
  size_t moved_ = 0;    // bytes, since it began anew
  Duration before_{};   // of earlier waits
  Time since_{};
};

}  // namespace postern::server
