#include "broker/log/event_log.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>

#include "base/format.h"
#include "channel/endpoint.h"

namespace postern::broker {
namespace {

constexpr auto kPatience = std::chrono::seconds(1);
constexpr auto kBatchFor = std::chrono::milliseconds(100);
constexpr size_t kBatchBytes = 32 << 10;
constexpr size_t kMaxWaiting = 4 << 20;  // bytes of events
constexpr size_t kMaxHeads = 16 << 20;   // bytes of exchanges' heads that wait
constexpr int kPiecesATurn = 16;         // of them, before others have their turn

}  // namespace

EventLog::EventLog(boost::asio::io_context& io, UniqueFd socket)
    : io_(io),
      socket_(std::move(socket)),
      watch_(io, socket_.get(), [this](bool readable, bool) { readable ? Readable() : Flush(); }),
      timer_(io),
      patience_(io),
      // Higher than any number of a broker before this one, whose answers may still lie in the
      // socket.
      number_(static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count())) {
  if (Status s = channel::SetNonBlocking(socket_.get()); !s) Fail(s.error().message);
  watch_.Watch(true, false);
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
  queue_.push_back(channel::EventLines{.confirm = ask,
                                       .last = static_cast<int64_t>(number_),
                                       .lost = static_cast<int64_t>(std::exchange(lost_, 0)),
                                       .lines = lines_});
  lines_.clear();  // and keeps its memory
}

void EventLog::WhenRecorded(Recorded done) {
  waiting_.emplace_back(number_, std::move(done));
  if (broken_.empty()) Pack(true);
  FlushSoon();
}

bool EventLog::ReserveRecording(size_t bytes) {
  if (!broken_.empty() || recording_ + bytes > kMaxRecording) return false;
  recording_ += bytes;
  return true;
}

void EventLog::WriteEntry(har::HarEntry exchange) {
  QueuedEntry entry;
  entry.parts = {har::PackHead(exchange), std::move(exchange.request_body.bytes),
                 std::move(exchange.response_body.bytes)};
  if (broken_.empty() && heads_ + entry.parts[0].size() <= kMaxHeads) {
    heads_ += entry.parts[0].size();
    entries_.push_back(std::move(entry));
    return FlushSoon();
  }
  ReleaseRecording(entry.parts[1].size() + entry.parts[2].size());
  ++lost_;
}

// The next piece of what is left of an exchange.
channel::EntryPiece EventLog::NextPiece(const QueuedEntry& entry) {
  const std::string& part = entry.parts[entry.part];
  channel::EntryPiece piece{.first = entry.part == 0 && entry.at == 0,
                            .part = static_cast<channel::EntryPart>(entry.part),
                            .bytes = part.substr(entry.at, channel::kMaxPayload)};
  piece.last = entry.at + piece.bytes.size() == part.size();
  for (size_t i = entry.part + 1; i < entry.parts.size(); ++i)
    piece.last = piece.last && entry.parts[i].empty();
  return piece;
}

// All lines, and as many pieces of exchanges as a turn has. EAGAIN where the socket is full.
Status EventLog::SendQueue() {
  while (!queue_.empty()) {
    const channel::EventLines& lines = std::get<channel::EventLines>(queue_.front());
    if (Status s = channel::SendControl(socket_.get(), queue_.front()); !s) return s;
    AwaitProgress();
    queued_lines_ -= lines.lines.size();
    queue_.pop_front();
  }
  for (int turn = 0; turn < kPiecesATurn && !entries_.empty(); ++turn) {
    QueuedEntry& entry = entries_.front();
    channel::EntryPiece piece = NextPiece(entry);
    const size_t size = piece.bytes.size();
    const bool last = piece.last;
    if (Status s = channel::SendControl(socket_.get(), std::move(piece)); !s) return s;
    AwaitProgress();
    entry.at += size;
    while (entry.part < entry.parts.size() && entry.at == entry.parts[entry.part].size()) {
      (entry.part == channel::kEntryHead ? heads_ : recording_) -= entry.at;
      ++entry.part;
      entry.at = 0;
    }
    if (last) entries_.pop_front();
  }
  return Ok{};
}

void EventLog::FlushSoon() {
  boost::asio::post(io_, owner_.WhileHere([this] { Flush(); }));
}

void EventLog::Flush() {
  const Status sent = broken_.empty() ? SendQueue() : Status(Ok{});
  if (!sent && sent.error().errnum == EAGAIN) return watch_.Watch(true, true);
  if (!sent) return Fail(fmt::format("the log process is gone: {}", sent.error().message));
  if (!entries_.empty()) return FlushSoon();
  watch_.Watch(broken_.empty(), false);
  if (!broken_.empty()) Fail(broken_);
  if (!when_sent_.empty()) AllSent();
}

void EventLog::Readable() {
  const auto received = channel::ReceiveControl(socket_.get());
  if (!received && received.error().errnum == EAGAIN) return;
  if (!received || !*received) return Fail("the log process is gone");
  const auto* logged = std::get_if<channel::EventsLogged>(&(*received)->message);
  if (logged == nullptr) return;
  const std::string error =
      logged->errnum == 0 ? std::string() : std::strerror(static_cast<int>(logged->errnum));
  const loop::Owner::Watch watch = owner_.watch();
  while (!waiting_.empty() && waiting_.front().first <= static_cast<uint64_t>(logged->last)) {
    const Recorded done = std::move(waiting_.front().second);
    waiting_.pop_front();
    done(error);
    if (watch.gone()) return;
  }
}

void EventLog::Fail(const std::string& why) {
  broken_ = why;
  queue_.clear();
  lines_.clear();
  queued_lines_ = 0;
  for (const QueuedEntry& e : entries_) {
    for (size_t i = std::max<size_t>(e.part, 1); i < e.parts.size(); ++i) {
      ReleaseRecording(e.parts[i].size());
    }
  }
  heads_ = 0;
  entries_.clear();
  watch_.Watch(false, false);
  const loop::Owner::Watch watch = owner_.watch();
  for (const auto& [number, done] : std::exchange(waiting_, {})) {
    done(why);
    if (watch.gone()) return;
  }
}

void EventLog::WhenSent(std::function<void()> done) {
  Pack(false);
  when_sent_.push_back(std::move(done));
  AwaitProgress();
  FlushSoon();
}

void EventLog::AwaitProgress() {
  if (when_sent_.empty()) return;
  patience_.expires_after(kPatience);
  patience_.async_wait([this](const boost::system::error_code& error) {
    if (!error) AllSent();
  });
}

void EventLog::AllSent() {
  patience_.cancel();
  const loop::Owner::Watch watch = owner_.watch();
  for (const auto& done : std::exchange(when_sent_, {})) {
    done();
    if (watch.gone()) return;
  }
}

}  // namespace postern::broker
