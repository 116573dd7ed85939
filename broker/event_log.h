// EventLog: the net broker's end of the log process's socket: audit events and HAR entries on their
// way out.
//
// Never blocks: what the socket does not take is kept up to a bound, then events are lost and the
// loss is counted. Events are sent in batches, at once only where somebody waits for them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "channel/control.h"
#include "channel/fd_watch.h"

namespace postern::broker {

class EventLog {
 public:
  // `socket`: a connected seqpacket socket.
  EventLog(boost::asio::io_context& io, UniqueFd socket);
  ~EventLog() { *alive_ = false; }
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Adds one event: a JSON object without line end. It is sent with others, a little later.
  void Write(std::string_view event);
  // `done` is called once, later: with an empty text when all events up to now are in the file,
  // else with the reason why they are not.
  using Recorded = std::function<void(const std::string& error)>;
  void WhenRecorded(Recorded done);
  // Adds one HAR entry. Where too much waits already it is lost, and counted.
  void WriteEntry(const std::string& entry);
  // Sends what waits, for as long as `milliseconds` at most.
  void Drain(int milliseconds);

 private:
  void FlushSoon();
  void Flush();
  void Pack(bool ask);
  void Readable();
  void Fail(const std::string& why);

  boost::asio::io_context& io_;
  UniqueFd socket_;
  channel::FdWatch watch_;
  boost::asio::steady_timer timer_;
  bool timer_armed_ = false;
  std::string lines_;    // not yet packed
  uint64_t number_ = 0;  // of the last event
  uint64_t lost_ = 0;
  std::deque<channel::ControlMessage> queue_;
  size_t queued_lines_ = 0, queued_entries_ = 0;  // bytes
  std::deque<std::pair<uint64_t, Recorded>> waiting_;
  std::string broken_;  // why nothing can be sent any more
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace postern::broker
