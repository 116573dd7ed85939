// Listeners: the sockets that a server is reached by, and who a client is.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace postern::server {

class Listeners {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  // `local`: over a Unix socket.
  using Accepted = std::function<void(Socket, bool local)>;

  Listeners(boost::asio::io_context& io, Accepted accepted)
      : io_(io), accepted_(std::move(accepted)) {}
  ~Listeners() { Close(); }

  // A Unix socket at `path`, for this user alone (mode 0600). One that a dead server left there is
  // replaced; one that somebody serves is an error.
  Status AddUnix(const std::string& path);
  // "HOST:PORT" or "PORT" (on loopback); port 0 is any that is free.
  Status AddTcp(const std::string& address);
  // A socket that somebody else has opened.
  Status AddGiven(UniqueFd socket);
  // Where it listens, as a person would write it.
  const std::vector<std::string>& addresses() const { return addresses_; }
  static bool IsUnix(const UniqueFd& socket);
  bool has_tcp() const { return has_tcp_; }
  void Close();

 private:
  struct Listener;
  Status Add(UniqueFd fd, int family, const std::string& address);
  void Accept(const std::shared_ptr<Listener>& listener);

  boost::asio::io_context& io_;
  Accepted accepted_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::vector<std::string> addresses_;
  std::string own_path_;  // to be removed
  bool has_tcp_ = false;
};

}  // namespace postern::server
