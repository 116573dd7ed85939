// Background: work that takes long and touches nothing but what it is given, such as parsing what a
// client sent, done by a second thread, one piece after the other, so that an event loop goes on
// meanwhile. The thread is started by the first piece.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/result.h"

namespace postern::supervisor {

class Background {
 public:
  explicit Background(boost::asio::io_context& io) : io_(io), finished_(io) {}
  // Waits for the piece that is under way; what waits, and what has not been told of, is dropped.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Calls `work` in the other thread, and then `done` from the loop. Without a thread, which a
  // machine may refuse, both are called from the loop.
  void Do(std::function<void()> work, std::function<void()> done);

 private:
  struct BackgroundTask {
    std::function<void()> work, done;
  };

  Status Start();
  void Work();
  void Listen();

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor finished_;  // an eventfd(2): how many are done
  std::thread thread_;
  // What both threads use.
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<BackgroundTask> waiting_, done_;
  bool stopping_ = false;
};

}  // namespace postern::supervisor
