// GuestOrder: what a spare is told when it becomes a guest. Written by the supervisor (trusted),
// read before any guest code runs: [bytes of what follows: u64][length of the head: u32][head: a
// JSON object][the files that came with it][the entry module's source]. What comes on the same pipe
// later are signals (signal_reader.h).
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace postern::channel {

// What V8, malloc and the stacks need beside the guest's own limit: half-filled pages, code,
// compiler zones. RLIMIT_DATA and a memory cgroup leave as much.
inline constexpr int64_t kMemorySlack = 64LL << 20;

// process.argv[0] and process.execPath: nothing is there, but programs look whether it is Node's
// name (yargs, for the name of the program in its usage).
inline constexpr const char* kExecPath = "/usr/bin/node";

struct GuestOrder {
  std::string source;  // of the entry module, or the code of `postern eval`
  std::string url;     // file: URL of the entry module
  bool eval = false;
  bool handler = false;  // its default export's `fetch` answers requests (handler_server.h)
  bool print = false;    // eval's value goes to stdout
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;
  std::string cwd;
  std::map<std::string, std::string> files;  // absolute path -> bytes: before any on a disk
  std::vector<std::string> mounts;           // where there are others, at the files broker
  int64_t memory = 128LL << 20;              // bytes
  int64_t cpu_ms = 60'000;                   // 0: the supervisor alone watches
  int64_t timer_us = 100;                    // resolution of the guest's clocks
  int64_t headers_ms = 60'000, total_ms = 310'000;
  int64_t response_bytes = 1LL << 30;
  int64_t redirects = 20;
  int64_t colours = 0;  // 1: stdout is shown on a terminal; 2: stderr is
  // Requests at a time, how many more may wait for their turn, and for how long.
  int64_t concurrent = 64, queue = 10'000, queue_ms = 300'000;

  NLOHMANN_DEFINE_TYPE_INTRUSIVE(GuestOrder, url, eval, handler, print, argv, env, cwd, mounts,
                                 memory, cpu_ms, timer_us, headers_ms, total_ms, response_bytes,
                                 redirects, colours, concurrent, queue, queue_ms)

  std::string Encode() const {
    nlohmann::json fields = *this;
    nlohmann::json& sizes = fields["sizes"] = nlohmann::json::array();
    size_t total = source.size();
    for (const auto& [path, bytes] : files) {
      sizes.push_back({path, bytes.size()});
      total += bytes.size();
    }
    const std::string head = fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    const auto size = static_cast<uint32_t>(head.size());
    const uint64_t all = sizeof size + head.size() + total;
    std::string out;
    out.reserve(sizeof all + all);
    out.append(reinterpret_cast<const char*>(&all), sizeof all);
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out.append(head);
    for (const auto& [path, bytes] : files) out.append(bytes);
    return out.append(source);
  }
  // How long the order is whose first bytes these are; 0 where they do not say yet.
  static uint64_t SizeOf(const std::string& bytes) {
    uint64_t all = 0;
    if (bytes.size() < sizeof all) return 0;
    std::memcpy(&all, bytes.data(), sizeof all);
    return sizeof all + all;
  }
  static Result<GuestOrder> Decode(const std::string& bytes) {
    constexpr size_t kHead = sizeof(uint64_t) + sizeof(uint32_t);
    uint32_t size = 0;
    if (bytes.size() < kHead || bytes.size() != SizeOf(bytes))
      return Error{"the order is incomplete"};
    std::memcpy(&size, bytes.data() + sizeof(uint64_t), sizeof size);
    if (bytes.size() - kHead < size) return Error{"the order is incomplete"};
    size_t at = kHead + size;
    const auto head =
        nlohmann::json::parse(bytes.data() + kHead, bytes.data() + at, nullptr, false);
    if (!head.is_object()) return Error{"the order is malformed"};
    GuestOrder order = head.get<GuestOrder>();
    for (const auto& file : head.at("sizes")) {
      const size_t length = file.at(1);
      if (bytes.size() - at < length) return Error{"the order is incomplete"};
      order.files[file.at(0)] = bytes.substr(at, length);
      at += length;
    }
    order.source = bytes.substr(at);
    return order;
  }
};

}  // namespace postern::channel
