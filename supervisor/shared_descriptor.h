// SharedDescriptor: a descriptor that Postern's user gave it, as stdin or stdout. Others may hold
// it too, for whom it must stay blocking; here it is read and written without ever blocking.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/unique_fd.h"

namespace postern::supervisor {

class SharedDescriptor {
 public:
  enum class Use { kRead, kWrite };
  // `fd` is borrowed, and stays open for as long as this lives.
  SharedDescriptor(boost::asio::io_context& io, int fd, Use use);

  // Calls `ready` once it can be used: at once where that is always, as with a file. False: never.
  void Await(std::function<void(bool)> ready);
  // As read(2) and write(2); EAGAIN where they would block.
  ssize_t Read(std::span<char> bytes);
  ssize_t Write(std::string_view bytes);

 private:
  bool IsReady() const;

  const Use use_;
  int fd_;
  UniqueFd own_;  // a file description of our own, where there can be one
  std::unique_ptr<boost::asio::posix::stream_descriptor> ready_;  // an epoll(7) instance; or null
};

}  // namespace postern::supervisor
