#include "broker/event_log.h"

#include <poll.h>

#include <boost/asio/post.hpp>
#include <chrono>

#include "base/eintr.h"
#include "channel/endpoint.h"

namespace postern::broker {
namespace {

using channel::ControlMessage;
using channel::ControlType;

constexpr auto kBatchFor = std::chrono::milliseconds(100);
constexpr size_t kBatchBytes = 32 << 10;
constexpr size_t kMaxWaiting = 4 << 20;         // bytes of events
constexpr size_t kMaxEntryBytes = 512UL << 20;  // bytes of HAR entries

}  // namespace

EventLog::EventLog(boost::asio::io_context& io, UniqueFd socket)
    : io_(io),
      socket_(std::move(socket)),
      watch_(io, socket_.get(), [this](bool readable, bool) { readable ? Readable() : Flush(); }),
      timer_(io),
      // Higher than any number of a broker before this one, whose answers may still lie in the
      // socket.
      number_(static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count())) {
  if (Status s = channel::SetNonBlocking(socket_.get()); !s) Fail(s.error().message);
  watch_.Want(true, false);
}

void EventLog::Write(std::string_view event) {
  ++number_;
  if (!broken_.empty() || queued_lines_ > kMaxWaiting || event.size() >= channel::kMaxPayload) {
    ++lost_;
    return;
  }
  if (lines_.size() + event.size() >= channel::kMaxPayload) Pack(false);
  lines_.append(event).push_back('\n');
  if (lines_.size() >= kBatchBytes) {
    Pack(false);
    return FlushSoon();
  }
  if (std::exchange(timer_armed_, true)) return;
  timer_.expires_after(kBatchFor);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    timer_armed_ = false;
    Pack(false);
    Flush();
  });
}

// `ask`: the log process is to answer once these lines are in the file.
void EventLog::Pack(bool ask) {
  if (lines_.empty() && lost_ == 0 && !ask) return;
  queued_lines_ += lines_.size();
  queue_.push_back({.type = ControlType::kLines,
                    .id = ask ? 1U : 0U,
                    .a = static_cast<int64_t>(number_),
                    .b = static_cast<int64_t>(std::exchange(lost_, 0)),
                    .payload = lines_});
  lines_.clear();  // and keeps its memory
}

void EventLog::WhenRecorded(Recorded done) {
  waiting_.emplace_back(number_, std::move(done));
  if (broken_.empty()) Pack(true);
  FlushSoon();
}

void EventLog::WriteEntry(const std::string& entry) {
  if (!broken_.empty() || queued_entries_ + entry.size() > kMaxEntryBytes) {
    ++lost_;
    return;
  }
  for (size_t at = 0; at < entry.size(); at += channel::kMaxPayload) {
    std::string part = entry.substr(at, channel::kMaxPayload);
    const bool last = at + part.size() == entry.size();
    queued_entries_ += part.size();
    queue_.push_back({.type = ControlType::kEntry,
                      .a = at == 0 ? 1 : 0,
                      .b = last ? 1 : 0,
                      .payload = std::move(part)});
  }
  FlushSoon();
}

void EventLog::FlushSoon() {
  boost::asio::post(io_, [this, alive = alive_] {
    if (*alive) Flush();
  });
}

void EventLog::Flush() {
  while (!queue_.empty() && broken_.empty()) {
    const ControlMessage& m = queue_.front();
    if (const Status s = channel::SendControl(socket_.get(), m); !s) {
      if (s.error().errnum == EAGAIN) return watch_.Want(true, true);
      return Fail("the log process is gone: " + s.error().message);
    }
    (m.type == ControlType::kLines ? queued_lines_ : queued_entries_) -= m.payload.size();
    queue_.pop_front();
  }
  watch_.Want(broken_.empty(), false);
  if (!broken_.empty()) Fail(broken_);
}

void EventLog::Readable() {
  const auto m = channel::ReceiveControl(socket_.get());
  if (!m && m.error().errnum == EAGAIN) return;
  if (!m || !*m) return Fail("the log process is gone");
  if ((*m)->type != ControlType::kLogged) return;
  const std::string error = (*m)->b == 0 ? std::string() : std::strerror(static_cast<int>((*m)->b));
  const auto alive = alive_;
  while (!waiting_.empty() && waiting_.front().first <= static_cast<uint64_t>((*m)->a)) {
    const Recorded done = std::move(waiting_.front().second);
    waiting_.pop_front();
    done(error);
    if (!*alive) return;
  }
}

void EventLog::Fail(const std::string& why) {
  broken_ = why;
  queue_.clear();
  lines_.clear();
  queued_lines_ = queued_entries_ = 0;
  watch_.Want(false, false);
  const auto alive = alive_;
  for (const auto& [number, done] : std::exchange(waiting_, {})) {
    done(why);
    if (!*alive) return;
  }
}

void EventLog::Drain(int milliseconds) {
  Pack(false);
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  for (Flush(); !queue_.empty(); Flush()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    pollfd p{socket_.get(), POLLOUT, 0};
    if (left.count() <= 0 ||
        Uninterrupted([&] { return ::poll(&p, 1, static_cast<int>(left.count())); }) <= 0)
      return;
  }
}

}  // namespace postern::broker
