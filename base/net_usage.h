// NetUsage: what a guest has used of the network, as its net broker counts it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

namespace postern {

struct NetUsage {
  uint64_t requests = 0, denied = 0;
  // Bytes of bodies: from origins, to origins; with placeholders in place of secrets.
  uint64_t bytes_in = 0, bytes_out = 0;
  std::map<std::string, uint64_t> errors;  // requests that failed, by code

  bool operator==(const NetUsage&) const = default;

  void Add(const NetUsage& other) {
    requests += other.requests;
    denied += other.denied;
    bytes_in += other.bytes_in;
    bytes_out += other.bytes_out;
    for (const auto& [code, count] : other.errors) errors[code] += count;
  }
  // What came since `before`; nothing where that is more.
  NetUsage Since(const NetUsage& before) const {
    const auto rest = [](uint64_t now, uint64_t then) { return now - std::min(now, then); };
    NetUsage more{.requests = rest(requests, before.requests),
                  .denied = rest(denied, before.denied),
                  .bytes_in = rest(bytes_in, before.bytes_in),
                  .bytes_out = rest(bytes_out, before.bytes_out),
                  .errors = {}};
    for (const auto& [code, count] : errors) {
      const auto old = before.errors.find(code);
      more.errors[code] = old == before.errors.end() ? count : rest(count, old->second);
    }
    return more;
  }
};

}  // namespace postern
