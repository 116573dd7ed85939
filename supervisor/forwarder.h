// Forwarder: a guest's stdout, stderr or result on its way: to a descriptor of ours, into memory,
// or to whoever asked for the run.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace postern::supervisor {

// Appends to a text of which at most `most` bytes are expected, without a long pause at any size.
void Append(std::string& text, std::string_view piece, size_t most);

class Forwarder : public std::enable_shared_from_this<Forwarder> {
 public:
  // Takes a piece, which stays valid until it calls `next`, at once or later: true for more, false
  // where nobody wants any. Nothing is read meanwhile: the guest waits in its own write.
  using Sink = std::function<void(std::string_view piece, std::function<void(bool)> next)>;
  // `failed` is told the errno of a write that cannot be.
  static Sink ToDescriptor(boost::asio::io_context& io, int fd, std::function<void(int)> failed);
  // `most`: bytes that may come, for which room is made once there are many.
  static Sink ToText(std::string& text, size_t most);

  // `count` is told of each piece and says whether more may come; `ended` is called once at
  // the end, not after Stop.
  static std::shared_ptr<Forwarder> Start(boost::asio::io_context& io, UniqueFd from, Sink sink,
                                          std::function<bool(std::string_view)> count,
                                          std::function<void()> ended);
  bool over() const { return over_; }
  // Reads no more and calls nobody any more.
  void Stop();

 private:
  Forwarder(boost::asio::io_context& io, UniqueFd from, Sink sink,
            std::function<bool(std::string_view)> count, std::function<void()> ended);
  void Read();
  void End();

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor from_;
  Sink sink_;
  std::function<bool(std::string_view)> count_;
  std::function<void()> ended_;
  std::string piece_;
  bool over_ = false;
};

}  // namespace postern::supervisor
