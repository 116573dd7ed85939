// RunQueue: who may run now, and who waits: a number of places, given to callers in turn, so that
// one with a thousand runs does not keep another's one waiting behind them all.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "loop/owner.h"

namespace postern::server {

class RunQueue {
 public:
  struct Options {
    size_t places = 8;    // runs at a time
    size_t waiting = 64;  // that wait for one; more are refused
    std::chrono::milliseconds patience{30'000};
  };
  // `start` is called once, now or when there is a place; or `late`, when there was none in time;
  // or `displaced`, when another caller's took its place among those that wait.
  struct Ticket {
    std::function<void()> start, late, displaced;
  };

  RunQueue(boost::asio::io_context& io, const Options& options) : io_(io), options_(options) {}
  ~RunQueue() { owner_.Leave(); }

  // False where too many wait already: none is called. Otherwise `id` names the ticket. Where the
  // queue is full, the newest ticket of the caller with most makes room for one who has at least
  // two fewer: nobody fills the queue for others, and no two callers displace each other for ever.
  bool Enqueue(const std::string& caller, uint64_t id, Ticket ticket);
  // Takes a ticket that waits out again. False where it does not wait (any more).
  bool Cancel(uint64_t id);
  // A run that was started has ended.
  void Release();

  size_t running() const { return running_; }
  size_t waiting() const { return waiting_; }

 private:
  struct QueuedRun {
    uint64_t id;
    Ticket ticket;
    std::unique_ptr<boost::asio::steady_timer> timer;
  };
  void Next();
  std::optional<QueuedRun> Remove(uint64_t id);
  std::optional<QueuedRun> MakeRoom(const std::string& caller);

  boost::asio::io_context& io_;
  const Options options_;
  size_t running_ = 0, waiting_ = 0;
  std::map<std::string, std::deque<QueuedRun>> by_caller_;  // none of them empty
  std::string last_;                                        // the caller that was served last
  loop::Owner owner_;
};

}  // namespace postern::server
