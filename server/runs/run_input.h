// RunInput: a run's stdin, as whoever asked for the run sends it, a piece at a time.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/unique_fd.h"

namespace postern::server {

class RunInput : public std::enable_shared_from_this<RunInput> {
 public:
  // `wanted` is called when the guest first reads; may be empty.
  explicit RunInput(boost::asio::io_context& io, std::function<void()> wanted = nullptr)
      : to_(io), wanted_(std::move(wanted)) {}

  // The guest reads, on the other end of this pipe.
  void Open(UniqueFd to);
  // Gives it a piece, and after the `last` one its end. `done` is told once whether the guest's
  // pipe has all of it; never where this returns false: a piece is under way, or was the last.
  bool Add(std::string piece, bool last, std::function<void(bool)> done);
  // The run is over.
  void Close();

 private:
  void Write();
  void Finish(bool taken);

  boost::asio::posix::stream_descriptor to_;
  std::function<void()> wanted_;
  std::string piece_;
  std::function<void(bool)> done_;  // set while a piece is under way
  bool last_ = false, over_ = false;
};

}  // namespace postern::server
