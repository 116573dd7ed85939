#include "broker/net/deadlines.h"

#include <algorithm>
#include <utility>

#include "base/format.h"

namespace postern::broker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRecordWithin(2'000);

std::string Seconds(int64_t ms) { return fmt::format("{:g} s", static_cast<double>(ms) / 1000); }

// Who it was that did not finish in time.
std::string WhoIsLate(const LateRequest& r) {
  if (r.phase == Phase::kDone || (r.phase == Phase::kBody && r.waits_for_guest))
    return fmt::format("the guest did not read the body of {} to its end", r.host_port);
  if (r.phase == Phase::kSend && r.upload_waits)
    return fmt::format("the guest did not send the body of its request to {}", r.host_port);
  return fmt::format("{} did not finish", r.host_port);
}

}  // namespace

Deadlines::Deadlines(const policy::NetworkLimits& limits, TimePoint now)
    : limits_(limits), total_(now + milliseconds(limits.total_timeout)) {}

void Deadlines::Set(TimePoint deadline) { next_ = std::min(deadline, total_); }

void Deadlines::Enter(Phase phase, TimePoint now) {
  phase_ = phase;
  switch (phase) {
    case Phase::kRecord:
      return Set(now + kRecordWithin);
    case Phase::kResolve:
      return Set(now + milliseconds(limits_.resolve_timeout));
    case Phase::kConnect:
      return Set(now + milliseconds(limits_.connect_timeout));
    case Phase::kTls:
      return Set(now + milliseconds(limits_.tls_timeout));
    case Phase::kSend:
      return Set(now + milliseconds(limits_.upload_timeout));
    case Phase::kHeaders:
      return Set(now + milliseconds(limits_.headers_timeout));
    case Phase::kBody:
      idle_left_ = milliseconds(limits_.idle_timeout);
      return WaitForOrigin(now);
    case Phase::kStream:
      return EnterStream(true, now);
    case Phase::kDecide:
    case Phase::kDone:
      return;
  }
}

void Deadlines::EnterStream(bool endless, TimePoint now) {
  phase_ = Phase::kStream;
  moved_ = now;
  if (!endless) return Set(total_);
  total_ = TimePoint::max();
  Set(now + milliseconds(limits_.stream_idle_timeout));
}

void Deadlines::WaitForOrigin(TimePoint now) {
  waits_for_guest_ = false;
  idle_since_ = now;
  Set(idle_since_ + idle_left_);
}

void Deadlines::WaitForGuest(TimePoint now) {
  if (!std::exchange(waits_for_guest_, true))
    idle_left_ = std::max(idle_left_ - (now - idle_since_), Clock::duration::zero());
  Set(now + milliseconds(limits_.unread_timeout));
}

void Deadlines::CountProgress(size_t bytes, TimePoint now) {
  period_bytes_ += static_cast<int64_t>(bytes);
  if (period_bytes_ < limits_.min_bytes) return;
  period_bytes_ = 0;
  idle_left_ = milliseconds(limits_.idle_timeout);
  idle_since_ = now;
}

std::optional<Late> Deadlines::Check(TimePoint now, bool upload_waits) {
  if (now < next_) return std::nullopt;
  next_ = TimePoint::max();
  if (now >= total_) return Late::kTotal;
  switch (phase_) {
    case Phase::kRecord:
      return Late::kRecord;
    case Phase::kResolve:
      return Late::kResolve;
    case Phase::kConnect:
      return Late::kConnect;
    case Phase::kTls:
      return Late::kTls;
    case Phase::kSend:
      if (!upload_waits) return Late::kUpload;
      Enter(Phase::kSend, now);
      return std::nullopt;
    case Phase::kHeaders:
      return Late::kHeaders;
    case Phase::kStream: {
      const TimePoint end = moved_ + milliseconds(limits_.stream_idle_timeout);
      if (now >= end) return Late::kStream;
      Set(end);
      return std::nullopt;
    }
    case Phase::kBody:
      return waits_for_guest_ ? Late::kUnread : Late::kBody;
    case Phase::kDone:
      return waits_for_guest_ ? std::optional(Late::kUnread) : std::nullopt;
    case Phase::kDecide:
      return std::nullopt;
  }
  return std::nullopt;
}

channel::Failure LateFailure(Late late, const LateRequest& r, const policy::NetworkLimits& l) {
  const std::string& where = r.host_port;
  switch (late) {
    case Late::kTotal:
      return {r.responded ? channel::kErrTotalTimeoutOfBody : channel::kErrTotalTimeout,
              fmt::format("{} within {} (total_timeout)", WhoIsLate(r), Seconds(l.total_timeout))};
    case Late::kRecord:
      return {channel::kErrAudit,
              "the audit log does not answer, and requires to be written first (audit)"};
    case Late::kResolve:
      return {channel::kErrDnsTimeout,
              fmt::format("the resolver did not answer for {} within {} (resolve_timeout)", r.host,
                          Seconds(l.resolve_timeout))};
    case Late::kConnect:
      return {channel::kErrConnectionTimeout,
              fmt::format("connecting to {} took more than {} (connect_timeout)", where,
                          Seconds(l.connect_timeout))};
    case Late::kTls:
      return {channel::kErrTlsTimeout,
              fmt::format("the TLS handshake with {} took more than {} (tls_timeout)", where,
                          Seconds(l.tls_timeout))};
    case Late::kUpload:
      return {channel::kErrUploadTimeout,
              fmt::format("{} took nothing of the request body for {} (upload_timeout)", where,
                          Seconds(l.upload_timeout))};
    case Late::kHeaders:
      return {channel::kErrResponseTimeout,
              fmt::format("{} sent no response within {} (headers_timeout)", where,
                          Seconds(l.headers_timeout))};
    case Late::kStream:
      return {channel::kErrBodyTimeout,
              fmt::format("nothing moved on the stream to {} for {} (stream_idle_timeout)", where,
                          Seconds(l.stream_idle_timeout))};
    case Late::kUnread:
      return {channel::kErrBodyUnread,
              fmt::format("the guest read nothing of the body of {} for {} (unread_timeout)", where,
                          Seconds(l.unread_timeout))};
    case Late::kBody:
      return {channel::kErrBodyTimeout, fmt::format("the body of {} stalled for {} (idle_timeout)",
                                                    where, Seconds(l.idle_timeout))};
  }
  return {};
}

}  // namespace postern::broker
