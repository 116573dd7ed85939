#include "broker/net/resolver.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/format.h"

namespace postern::broker {
namespace {

using namespace std::chrono_literals;

constexpr auto kMinTtl = 1s;
constexpr auto kMaxTtl = 300s;
constexpr size_t kMaxCached = 1024;   // names a guest
constexpr size_t kMaxAddresses = 64;  // of a name; connections are tried in turn
constexpr int kTryMs = 1500;          // c-ares' first patience with a server; it doubles

channel::Failure DnsFailure(const std::string& name, int status) {
  switch (status) {
    case ARES_ENOTFOUND:
      return {channel::kErrDns, fmt::format("the name {} does not exist (NXDOMAIN)", name)};
    case ARES_ENODATA:
      return {channel::kErrDns, fmt::format("the name {} has no address", name)};
    case ARES_ESERVFAIL:
      return {channel::kErrDns, fmt::format("the resolver failed for {} (SERVFAIL)", name)};
    case ARES_EREFUSED:
      return {channel::kErrDns, fmt::format("the resolver refused to look up {} (REFUSED)", name)};
    case ARES_EBADNAME:
      return {channel::kErrDns, fmt::format("{} is no name that DNS can hold", name)};
    case ARES_ECONNREFUSED:
      return {channel::kErrDns,
              fmt::format("no resolver could look up {}: each was unreachable or failed", name)};
    case ARES_ETIMEOUT:
      return {channel::kErrDnsTimeout, fmt::format("the resolver did not answer for {}", name)};
    default:
      return {channel::kErrDns,
              fmt::format("looking up {} failed: {}", name, ares_strerror(status))};
  }
}

}  // namespace

struct Resolver::Query {
  std::shared_ptr<Resolver*> resolver;
  std::string name;
};

Resolver::Resolver(boost::asio::io_context& io, const policy::Dns& dns,
                   const std::vector<std::string>& servers)
    : io_(io), dns_(dns), timer_(io), self_(std::make_shared<Resolver*>(this)) {
  ares_options options{};
  options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  // With several servers a failing one is passed over; a lone one's own words are what the guest
  // gets.
  if (servers.size() == 1) options.flags |= ARES_FLAG_NOCHECKRESP;
  options.timeout = kTryMs;
  options.tries = 4;
  char lookups[] = "b";
  options.lookups = lookups;
  options.sock_state_cb = SocketState;
  options.sock_state_cb_data = this;
  const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                   ARES_OPT_SOCK_STATE_CB;
  if (const int rc = ares_init_options(&channel_, &options, mask); rc != ARES_SUCCESS) {
    setup_error_ = ares_strerror(rc);
    return;
  }
  std::string csv;
  for (const std::string& s : servers) {
    // A bare IPv6 address needs brackets in this list.
    const bool bare_v6 = std::count(s.begin(), s.end(), ':') > 1 && !s.starts_with('[');
    csv += (csv.empty() ? "" : ",") + (bare_v6 ? fmt::format("[{}]", s) : s);
  }
  if (csv.empty()) {
    setup_error_ = "no DNS server is configured";
  } else if (ares_set_servers_ports_csv(channel_, csv.c_str()) != ARES_SUCCESS) {
    setup_error_ = fmt::format("the DNS server list is not usable: {}", csv);
  }
}

Resolver::~Resolver() {
  *self_ = nullptr;
  waiting_.clear();
  if (channel_ != nullptr) ares_destroy(channel_);
}

uint64_t Resolver::Resolve(const std::string& name, Done done) {
  if (const auto pinned = dns_.hosts.find(name); pinned != dns_.hosts.end()) {
    Addresses addresses;
    for (const std::string& text : pinned->second) {
      if (auto ip = IpAddress::Parse(text)) addresses.push_back(*ip);
    }
    done(std::move(addresses), std::nullopt);
    return 0;
  }
  if (name == "localhost" || name.ends_with(".localhost")) {  // RFC 6761 section 6.3
    done({*IpAddress::Parse("127.0.0.1"), *IpAddress::Parse("::1")}, std::nullopt);
    return 0;
  }
  if (const auto hit = cache_.find(name); hit != cache_.end()) {
    if (hit->second.until > std::chrono::steady_clock::now()) {
      done(hit->second.addresses, std::nullopt);
      return 0;
    }
    cache_.erase(hit);
  }
  if (!setup_error_.empty()) {
    done({}, channel::Failure{channel::kErrDns,
                              fmt::format("cannot look up {}: {}", name, setup_error_)});
    return 0;
  }
  const uint64_t id = next_id_++;
  auto& waiters = waiting_[name];
  waiters.emplace(id, std::move(done));
  if (waiters.size() > 1) return id;
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NOSORT;
  ares_getaddrinfo(channel_, fmt::format("{}.", name).c_str(), nullptr, &hints, Answered,
                   new Query{self_, name});
  ArmTimer();
  return id;
}

void Resolver::Cancel(uint64_t id) {
  for (auto& [name, waiters] : waiting_) waiters.erase(id);
}

void Resolver::Answered(void* arg, int status, int /*timeouts*/, ares_addrinfo* result) {
  const std::unique_ptr<Query> query(static_cast<Query*>(arg));
  const std::unique_ptr<ares_addrinfo, void (*)(ares_addrinfo*)> owned(result, ares_freeaddrinfo);
  Resolver* self = *query->resolver;
  if (self == nullptr) return;
  Addresses addresses;
  std::chrono::seconds ttl = kMaxTtl;
  for (const ares_addrinfo_node* n = result == nullptr ? nullptr : result->nodes; n != nullptr;
       n = n->ai_next) {
    if (auto ip = IpAddress::From(n->ai_addr); ip && addresses.size() < kMaxAddresses) {
      addresses.push_back(*ip);
    }
    ttl = std::min(ttl, std::chrono::seconds(n->ai_ttl));
  }
  std::optional<channel::Failure> failure;
  if (status != ARES_SUCCESS || addresses.empty()) {
    failure = DnsFailure(query->name, status == ARES_SUCCESS ? ARES_ENODATA : status);
  } else {
    self->Remember(query->name, addresses, std::max<std::chrono::seconds>(ttl, kMinTtl));
  }
  // Later, never inside a c-ares call: a waiter may end this guest and its resolver.
  boost::asio::post(self->io_, [alive = query->resolver, name = query->name, addresses, failure] {
    if (*alive != nullptr) (*alive)->Finish(name, addresses, failure);
  });
}

// Where there is no room, what ends first makes it.
void Resolver::Remember(const std::string& name, const Addresses& addresses,
                        std::chrono::seconds ttl) {
  if (cache_.size() >= kMaxCached && !cache_.contains(name)) {
    cache_.erase(std::min_element(cache_.begin(), cache_.end(), [](const auto& a, const auto& b) {
      return a.second.until < b.second.until;
    }));
  }
  cache_[name] = {addresses, std::chrono::steady_clock::now() + ttl};
}

void Resolver::Finish(const std::string& name, const Addresses& addresses,
                      const std::optional<channel::Failure>& failure) {
  const auto node = waiting_.extract(name);
  if (node.empty()) return;
  const auto alive = self_;
  for (const auto& [id, done] : node.mapped()) {
    done(addresses, failure);
    if (*alive == nullptr) return;
  }
}

void Resolver::SocketState(void* arg, ares_socket_t fd, int readable, int writable) {
  auto* self = static_cast<Resolver*>(arg);
  if (readable == 0 && writable == 0) {
    self->watches_.erase(fd);
    return;
  }
  auto& watch = self->watches_[fd];
  if (!watch) {
    watch = std::make_unique<loop::FdWatch>(self->io_, fd, [self, fd](bool r, bool w) {
      ares_process_fd(self->channel_, r ? fd : ARES_SOCKET_BAD, w ? fd : ARES_SOCKET_BAD);
      self->ArmTimer();
    });
  }
  watch->Watch(readable != 0, writable != 0);
}

void Resolver::ArmTimer() {
  timeval buffer{};
  const timeval* next = ares_timeout(channel_, nullptr, &buffer);
  if (next == nullptr) return;
  timer_.expires_after(std::chrono::seconds(next->tv_sec) +
                       std::chrono::microseconds(next->tv_usec) + 1ms);
  timer_.async_wait([alive = self_](const boost::system::error_code& error) {
    if (error || *alive == nullptr) return;
    ares_process_fd((*alive)->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    (*alive)->ArmTimer();
  });
}

}  // namespace postern::broker
