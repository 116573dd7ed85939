// Feeder: a guest's stdin on its way from a descriptor of Postern's user.
#pragma once

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>

#include "base/unique_fd.h"
#include "supervisor/shared_descriptor.h"

namespace postern::supervisor {

class Feeder : public std::enable_shared_from_this<Feeder> {
 public:
  // Gives `to` what `from` has, until one of them ends; lives as long as that takes, or `io` does.
  static void Start(boost::asio::io_context& io, int from, UniqueFd to);

 private:
  Feeder(boost::asio::io_context& io, int from, UniqueFd to);
  void Read();

  SharedDescriptor from_;
  boost::asio::posix::stream_descriptor to_;
  std::array<char, 64 * 1024> piece_;
};

}  // namespace postern::supervisor
