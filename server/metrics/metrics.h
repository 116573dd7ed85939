// Metrics: what a server tells Prometheus (docs/metrics.md), kept by prometheus-cpp.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "run_api/outcome.h"

namespace postern::server {

class Metrics {
 public:
  // `doctor`: what `postern doctor --json` says, for the layers that are on.
  explicit Metrics(const nlohmann::json& doctor);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  using Duration = std::chrono::steady_clock::duration;

  // The run API.
  void RunStarted(Duration waited);
  void RunEnded(const run_api::Outcome& outcome, Duration ran);
  void RunRefused(const char* reason);  // "queue_full" or "queue_timeout"
  // Handler mode.
  void RequestAnswered(int status, Duration took);
  void GuestEnded(const char* outcome);
  // Both: a spare was taken, and what guests have fetched since the last call.
  void Spawned(Duration took);
  void Fetched(const NetUsage& usage);

  // A turn of the event loop took too long (loop_watch.h).
  void Stalled();

  // What is counted when it is asked for.
  struct Now {
    size_t runs_running = 0, runs_waiting = 0, run_places = 0;
    size_t spares = 0, zygotes = 0;
    size_t guests = 0, requests_running = 0, requests_waiting = 0, request_places = 0;
    bool handler = false;
  };
  // In Prometheus' text format, version 0.0.4.
  std::string Text(const Now& now);

 private:
  struct Families;
  std::unique_ptr<Families> f_;
};

}  // namespace postern::server
