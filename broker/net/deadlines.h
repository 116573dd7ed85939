// Deadlines: one request's clocks. Each phase has a deadline, set when it begins; a total runs over
// all of them. They hold no timer and read no clock: the caller hands the time in.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "channel/failure.h"
#include "policy/limits.h"

namespace postern::broker {

enum class Phase {
  kDecide,
  kRecord,
  kResolve,
  kConnect,
  kTls,
  kSend,
  kHeaders,
  kBody,
  kStream,  // a TCP stream's or a WebSocket's: as long as something moves
  kDone     // the origin's part is over; the guest may still have to read
};

// Which deadline has passed.
enum class Late {
  kTotal,
  kRecord,
  kResolve,
  kConnect,
  kTls,
  kUpload,
  kHeaders,
  kBody,
  kUnread,
  kStream
};

class Deadlines {
 public:
  using Clock = std::chrono::steady_clock;
  using TimePoint = Clock::time_point;

  // `limits` outlive it. The total begins now.
  Deadlines(const policy::NetworkLimits& limits, TimePoint now);

  Phase phase() const { return phase_; }
  // When Check has something to say at the earliest; TimePoint::max() for never.
  TimePoint next() const { return next_; }

  void Enter(Phase phase, TimePoint now);
  // Enters kStream. `endless`: it has no total any more; else no other deadline than that.
  void EnterStream(bool endless, TimePoint now);
  // The body has two clocks, of which one runs: the idle one measures the origin while nothing
  // waits here for the guest; the other one measures the guest while something does.
  void WaitForOrigin(TimePoint now);
  void WaitForGuest(TimePoint now);
  bool waits_for_guest() const { return waits_for_guest_; }
  // So many bytes of a body came. Each `min_bytes` of them the origin's clock begins anew.
  void CountProgress(size_t bytes, TimePoint now);
  // Something moved on a stream.
  void Moved(TimePoint now) { moved_ = now; }
  // Nothing has a deadline any more, until a phase begins.
  void Stop() { next_ = TimePoint::max(); }

  // What is late, once. `upload_waits`: it is the guest that has to go on sending, for which the
  // total alone is a bound.
  std::optional<Late> Check(TimePoint now, bool upload_waits);

 private:
  void Set(TimePoint deadline);

  const policy::NetworkLimits& limits_;
  Phase phase_ = Phase::kDecide;
  TimePoint total_, next_ = TimePoint::max();
  Clock::duration idle_left_{};  // of the origin's clock, when it last stopped or began anew
  TimePoint idle_since_{};       // since when it runs
  int64_t period_bytes_ = 0;
  bool waits_for_guest_ = false;
  TimePoint moved_{};  // when something last moved on a stream
};

// What a guest is told of it. `host` and `host_port`: the origin's.
struct LateRequest {
  std::string host, host_port;
  Phase phase;
  bool responded, waits_for_guest, upload_waits;
};
channel::Failure LateFailure(Late late, const LateRequest& request,
                             const policy::NetworkLimits& limits);

}  // namespace postern::broker
