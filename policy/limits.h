// Limits of a guest's network use.
#pragma once

#include <cstdint>
#include <vector>

namespace postern::policy {

// Every duration is in milliseconds and finite. 0 means "no limit" only where said.
struct NetworkLimits {
  int64_t resolve_timeout = 5'000;
  int64_t connect_timeout = 5'000;  // TCP
  int64_t tls_timeout = 10'000;
  int64_t headers_timeout = 30'000;  // from the request sent to the last header byte: a total
  int64_t idle_timeout = 30'000;     // a period of the body in which fewer than min_bytes came
  int64_t min_bytes = 1;             // bytes that each idle_timeout must bring at least
  int64_t upload_timeout = 30'000;   // the origin takes nothing of a body that the guest has sent
  int64_t unread_timeout = 120'000;  // the guest reads nothing of a body that is waiting for it
  int64_t total_timeout = 300'000;
  int64_t queue_timeout = 300'000;  // waiting, in the guest, for one of `concurrent` places
  int64_t concurrent = 64;          // requests at a time
  int64_t queue = 10'000;           // requests that may wait for a place; more are refused
  int64_t requests = 1'000'000;
  int64_t rate = 0;  // requests a rate_period, as a token bucket of that size; 0: no limit
  int64_t rate_period = 1'000;
  int64_t request_bytes = 64LL << 20;     // a request
  int64_t response_bytes = 1LL << 30;     // a response, decoded
  int64_t message_bytes = 16LL << 20;     // a WebSocket message, decoded
  int64_t stream_idle_timeout = 600'000;  // a TCP stream or WebSocket on which nothing moves
  int64_t total_bytes = 1LL << 40;        // all bodies of a run, both ways
  int64_t header_bytes = 64 << 10;  // a response's header section, informational ones included
  int64_t header_count = 256;
  int64_t redirects = 20;
};

// Limits by the names they have in a policy file, for the parser, the JSON form and the docs.
struct LimitName {
  const char* name;
  int64_t NetworkLimits::*member;
  enum class Unit { kDuration, kBytes, kCount, kRate } unit;
  int64_t min, max;
};
const std::vector<LimitName>& LimitNames();

}  // namespace postern::policy
