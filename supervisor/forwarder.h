// Forwarder: a guest's stdout or stderr on its way to ours, or into memory for --json.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/unique_fd.h"

namespace postern::supervisor {

class Forwarder {
 public:
  struct Sink {
    int fd = -1;                  // where to, or
    std::string* text = nullptr;  // kept here
  };
  // `count` is told of each piece's bytes and says whether more may come; `ended` is called once at
  // the end.
  Forwarder(boost::asio::io_context& io, UniqueFd from, Sink sink,
            std::function<bool(size_t)> count, std::function<void()> ended);
  ~Forwarder();
  bool over() const { return over_; }

 private:
  void Read();
  void Write();
  void End();

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor from_;
  Sink sink_;
  std::unique_ptr<boost::asio::posix::stream_descriptor>
      to_;  // null where `fd` cannot be waited for: a file
  std::function<bool(size_t)> count_;
  std::function<void()> ended_;
  std::string piece_;
  size_t at_ = 0;
  bool over_ = false;
};

}  // namespace postern::supervisor
