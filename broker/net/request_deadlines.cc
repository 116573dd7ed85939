// Request's deadlines: one for each phase, and one for all of it.
#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "broker/net/net_binding.h"
#include "broker/net/request.h"

namespace postern::broker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRecordWithin(2'000);

std::string Seconds(int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", static_cast<double>(ms) / 1000);
  return text;
}

}  // namespace

void Request::EnterPhase(Phase phase) {
  phase_ = phase;
  const policy::NetworkLimits& l = guest_.policy().limits;
  const auto now = Clock::now();
  switch (phase) {
    case Phase::kRecord:
      return SetDeadline(now + kRecordWithin);
    case Phase::kResolve:
      return SetDeadline(now + milliseconds(l.resolve_timeout));
    case Phase::kConnect:
      return SetDeadline(now + milliseconds(l.connect_timeout));
    case Phase::kTls:
      return SetDeadline(now + milliseconds(l.tls_timeout));
    case Phase::kSend:
      return SetDeadline(now + milliseconds(l.upload_timeout));
    case Phase::kHeaders:
      return SetDeadline(now + milliseconds(l.headers_timeout));
    case Phase::kBody:
      idle_left_ = milliseconds(l.idle_timeout);
      return RunIdleClock();
    case Phase::kStream:
      total_deadline_ = Clock::time_point::max();
      moved_ = now;
      return SetDeadline(now + milliseconds(l.stream_idle_timeout));
    case Phase::kDecide:
    case Phase::kDone:
      break;
  }
}

void Request::SetDeadline(Clock::time_point deadline) {
  phase_deadline_ = std::min(deadline, total_deadline_);
  guest_.WakeAt(phase_deadline_);
}

Request::Clock::time_point Request::CheckDeadline(Clock::time_point now) {
  if (now >= phase_deadline_) {
    phase_deadline_ = Clock::time_point::max();
    OnDeadline(now);
  }
  return phase_deadline_;
}

void Request::OnDeadline(Clock::time_point now) {
  const policy::NetworkLimits& l = guest_.policy().limits;
  const std::string where = url_.HostPort();
  if (now >= total_deadline_) {
    const std::string what =
        WhoIsLate() + " within " + Seconds(l.total_timeout) + " (total_timeout)";
    return responded_ ? Fail({"connection_read_timeout", "ERR_TOTAL_TIMEOUT", what})
                      : Fail({"http_response_timeout", "ERR_TOTAL_TIMEOUT", what});
  }
  switch (phase_) {
    case Phase::kRecord:
      return Fail({"proxy_internal_error", "ERR_AUDIT",
                   "the audit log does not answer, and requires to be written first (audit)"});
    case Phase::kResolve:
      return Fail({"dns_timeout", "ERR_DNS_TIMEOUT",
                   "the resolver did not answer for " + url_.host + " within " +
                       Seconds(l.resolve_timeout) + " (resolve_timeout)"});
    case Phase::kConnect:
      return Fail({"connection_timeout", "ERR_CONNECTION_TIMEOUT",
                   "connecting to " + where + " took more than " + Seconds(l.connect_timeout) +
                       " (connect_timeout)"});
    case Phase::kTls:
      return Fail({"connection_timeout", "ERR_TLS_TIMEOUT",
                   "the TLS handshake with " + where + " took more than " + Seconds(l.tls_timeout) +
                       " (tls_timeout)"});
    case Phase::kSend:
      if (WaitsForUpload()) return EnterPhase(Phase::kSend);  // the total bounds it
      return Fail({"connection_write_timeout", "ERR_UPLOAD_TIMEOUT",
                   where + " took nothing of the request body for " + Seconds(l.upload_timeout) +
                       " (upload_timeout)"});
    case Phase::kHeaders:
      return Fail({"http_response_timeout", "ERR_RESPONSE_TIMEOUT",
                   where + " sent no response within " + Seconds(l.headers_timeout) +
                       " (headers_timeout)"});
    case Phase::kStream: {
      const auto end = moved_ + milliseconds(l.stream_idle_timeout);
      if (now < end) return SetDeadline(end);
      return Fail({"connection_read_timeout", "ERR_BODY_TIMEOUT",
                   "nothing moved on the stream to " + where + " for " +
                       Seconds(l.stream_idle_timeout) + " (stream_idle_timeout)"});
    }
    case Phase::kBody:
    case Phase::kDone:
      return ExpiredInBody();
    case Phase::kDecide:
      return;
  }
}

// Whether it is the guest that has to go on. A replay keeps what came until all is there.
bool Request::WaitsForUpload() const {
  return !upload_ended_ &&
         (upload_.empty() || guest_.policy().adapter.kind == policy::AdapterKind::kReplay);
}

std::string Request::WhoIsLate() const {
  if (phase_ == Phase::kDone || (phase_ == Phase::kBody && blocked_)) {
    return "the guest did not read the body of " + url_.HostPort() + " to its end";
  }
  if (phase_ == Phase::kSend && WaitsForUpload()) {
    return "the guest did not send the body of its request to " + url_.HostPort();
  }
  return url_.HostPort() + " did not finish";
}

void Request::ExpiredInBody() {
  const policy::NetworkLimits& l = guest_.policy().limits;
  if (blocked_) {
    return Fail({"connection_write_timeout", "ERR_BODY_UNREAD",
                 "the guest read nothing of the body of " + url_.HostPort() + " for " +
                     Seconds(l.unread_timeout) + " (unread_timeout)"});
  }
  if (phase_ == Phase::kDone) return;
  Fail({"connection_read_timeout", "ERR_BODY_TIMEOUT",
        "the body of " + url_.HostPort() + " stalled for " + Seconds(l.idle_timeout) +
            " (idle_timeout)"});
}

// Two clocks, of which one runs: the idle one measures the origin while nothing waits here for the
// guest; the other measures the guest while something does.
void Request::CountProgress(size_t bytes) {
  period_bytes_ += static_cast<int64_t>(bytes);
  if (period_bytes_ < guest_.policy().limits.min_bytes) return;
  period_bytes_ = 0;
  idle_left_ = milliseconds(guest_.policy().limits.idle_timeout);
  idle_since_ = Clock::now();
}

void Request::RunIdleClock() {
  blocked_ = false;
  idle_since_ = Clock::now();
  SetDeadline(idle_since_ + idle_left_);
}

void Request::WaitForGuest() {
  const auto now = Clock::now();
  if (!std::exchange(blocked_, true)) {
    idle_left_ = std::max(idle_left_ - (now - idle_since_), Clock::duration::zero());
  }
  SetDeadline(now + milliseconds(guest_.policy().limits.unread_timeout));
}

}  // namespace postern::broker
