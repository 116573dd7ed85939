// OwnAddresses: the addresses of this host's own interfaces, read and watched over netlink (libnl).
//
// A guest must not reach the host it runs on by its public address. Opened before the broker gives
// up sockets of other families; afterwards the one netlink socket stays.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "base/result.h"
#include "loop/fd_watch.h"
#include "policy/rules/address_ranges.h"

struct nl_sock;

namespace postern::broker {

class OwnAddresses {
 public:
  static Result<std::unique_ptr<OwnAddresses>> Open();
  ~OwnAddresses();
  // Keeps the list true while `io` runs.
  void Watch(boost::asio::io_context& io);
  const std::vector<IpAddress>& list() const { return list_; }

 private:
  OwnAddresses() = default;
  Status Refresh();

  nl_sock* query_ = nullptr;
  nl_sock* events_ = nullptr;
  std::unique_ptr<loop::FdWatch> watch_;
  std::vector<IpAddress> list_;
};

}  // namespace postern::broker
