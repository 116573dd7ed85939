// EventLog: the net broker's end of the log process's socket: audit events and HAR entries on their
// way out.
//
// Never blocks: what the socket does not take is kept up to a bound, then events are lost and the
// loss is counted. Events are sent in batches, at once only where somebody waits for them.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "channel/control.h"
#include "har/har.h"
#include "loop/fd_watch.h"
#include "loop/owner.h"

namespace postern::broker {

class EventLog {
 public:
  // `socket`: a connected seqpacket socket.
  EventLog(boost::asio::io_context& io, UniqueFd socket);
  ~EventLog() { owner_.Leave(); }
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Adds one event: a JSON object without line end. It is sent with others, a little later.
  void Write(std::string_view event);
  // `done` is called once, later: with an empty text when all events up to now are in the file,
  // else with the reason why they are not.
  using Recorded = std::function<void(const std::string& error)>;
  void WhenRecorded(Recorded done);
  // Bytes of bodies that are kept for the recording, by all requests and here until they are sent:
  // kMaxRecording in all. False where there is no room. WriteEntry gives them back when they are
  // sent, or ReleaseRecording where they are not kept after all.
  bool ReserveRecording(size_t bytes);
  void ReleaseRecording(size_t bytes) { recording_ -= bytes; }
  static constexpr size_t kMaxRecording = 64 << 20;
  // Adds one exchange to the recording.
  void WriteEntry(har::HarEntry exchange);
  // Calls `done` once all that there is now is sent, or nothing has been taken for a second.
  void WhenSent(std::function<void()> done);

 private:
  // An exchange on its way: head and bodies (channel::EntryPart), and up to where they are sent.
  struct QueuedEntry {
    std::array<std::string, 3> parts;
    size_t part = 0, at = 0;
  };
  static channel::EntryPiece NextPiece(const QueuedEntry& entry);
  Status SendQueue();
  void FlushSoon();
  void Flush();
  void Pack(bool ask);
  void AwaitProgress();
  void AllSent();
  void Readable();
  void Fail(const std::string& why);

  boost::asio::io_context& io_;
  UniqueFd socket_;
  loop::FdWatch watch_;
  boost::asio::steady_timer timer_, patience_;
  bool timer_armed_ = false;
  std::string lines_;    // not yet packed
  uint64_t number_ = 0;  // of the last event
  uint64_t lost_ = 0;
  std::deque<channel::ControlMessage> queue_;
  size_t queued_lines_ = 0;  // bytes
  std::deque<QueuedEntry> entries_;
  size_t recording_ = 0, heads_ = 0;  // bytes of bodies, and of heads
  std::deque<std::pair<uint64_t, Recorded>> waiting_;
  std::vector<std::function<void()>> when_sent_;
  std::string broken_;  // why nothing can be sent any more
  loop::Owner owner_;
};

}  // namespace postern::broker
