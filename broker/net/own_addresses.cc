#include "broker/net/own_addresses.h"

#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>

#include <algorithm>
#include <cstring>

namespace postern::broker {
namespace {

int IgnoreMessage(nl_msg*, void*) { return NL_OK; }

}  // namespace

Result<std::unique_ptr<OwnAddresses>> OwnAddresses::Open() {
  std::unique_ptr<OwnAddresses> self(new OwnAddresses);
  self->query_ = nl_socket_alloc();
  self->events_ = nl_socket_alloc();
  if (self->query_ == nullptr || self->events_ == nullptr ||
      nl_connect(self->query_, NETLINK_ROUTE) < 0) {
    return Error{"cannot ask netlink for this host's addresses"};
  }
  nl_socket_disable_seq_check(self->events_);
  nl_socket_modify_cb(self->events_, NL_CB_VALID, NL_CB_CUSTOM, IgnoreMessage, nullptr);
  if (nl_connect(self->events_, NETLINK_ROUTE) < 0 ||
      nl_socket_set_nonblocking(self->events_) < 0 ||
      nl_socket_add_memberships(self->events_, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, 0) < 0) {
    return Error{"cannot watch this host's addresses over netlink"};
  }
  if (Status s = self->Refresh(); !s) return s.error();
  return self;
}

OwnAddresses::~OwnAddresses() {
  watch_.reset();
  nl_socket_free(query_);
  nl_socket_free(events_);
}

Status OwnAddresses::Refresh() {
  nl_cache* cache = nullptr;
  if (rtnl_addr_alloc_cache(query_, &cache) < 0) return Error{"cannot list this host's addresses"};
  list_.clear();
  for (nl_object* o = nl_cache_get_first(cache); o != nullptr; o = nl_cache_get_next(o)) {
    nl_addr* local = rtnl_addr_get_local(reinterpret_cast<rtnl_addr*>(o));
    if (local == nullptr) continue;
    IpAddress address;
    address.v6 = nl_addr_get_family(local) == AF_INET6;
    std::memcpy(address.bytes.data(), nl_addr_get_binary_addr(local),
                std::min<size_t>(nl_addr_get_len(local), 16));
    list_.push_back(address);
  }
  nl_cache_free(cache);
  return Ok{};
}

void OwnAddresses::Watch(boost::asio::io_context& io) {
  watch_ = std::make_unique<loop::FdWatch>(io, nl_socket_get_fd(events_), [this](bool, bool) {
    while (nl_recvmsgs_default(events_) >= 0) {
    }
    // A failed listing keeps the last good list: the guard must not open because netlink is busy.
    if (const auto before = list_; !Refresh()) list_ = before;
  });
  watch_->Watch(true, false);
}

}  // namespace postern::broker
