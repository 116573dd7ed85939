// Resolver: names to addresses by DNS (c-ares) on the broker's loop, one a guest.
//
// A name is looked up as an absolute one, never with search domains, so that what was decided is
// what is looked up. No file is read: servers come with the policy.
#pragma once

#include <ares.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "channel/failure.h"
#include "loop/fd_watch.h"
#include "policy/policy.h"

namespace postern::broker {

class Resolver {
 public:
  using Addresses = std::vector<IpAddress>;
  // Exactly one of the two is meaningful: addresses (never empty) or a failure.
  using Done = std::function<void(Addresses, std::optional<channel::Failure>)>;

  // `servers`: "address" or "address:port".
  Resolver(boost::asio::io_context& io, const policy::Dns& dns,
           const std::vector<std::string>& servers);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // `name` is canonical. `done` is called once: at once when the answer is known, else later; never
  // after Cancel(id) or the resolver's end. Returns an id, 0 when done was called already.
  uint64_t Resolve(const std::string& name, Done done);
  void Cancel(uint64_t id);

 private:
  struct Query;
  struct Cached {
    Addresses addresses;
    std::chrono::steady_clock::time_point until;
  };
  static void SocketState(void* self, ares_socket_t fd, int readable, int writable);
  static void Answered(void* query, int status, int timeouts, ares_addrinfo* result);
  void ArmTimer();
  void Remember(const std::string& name, const Addresses& addresses, std::chrono::seconds ttl);
  void Finish(const std::string& name, const Addresses& addresses,
              const std::optional<channel::Failure>& failure);

  boost::asio::io_context& io_;
  const policy::Dns& dns_;
  ares_channel channel_ = nullptr;
  std::string setup_error_;
  boost::asio::steady_timer timer_;
  std::map<ares_socket_t, std::unique_ptr<loop::FdWatch>> watches_;
  std::map<std::string, Cached> cache_;
  std::map<std::string, std::map<uint64_t, Done>>
      waiting_;  // by name: a name is asked once at a time
  uint64_t next_id_ = 1;
  std::shared_ptr<Resolver*> self_;  // what a query holds: null once this is gone
};

}  // namespace postern::broker
