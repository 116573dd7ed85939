#include "server/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>

#include "channel/failure_kinds.h"

namespace postern::server {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

double Seconds(Metrics::Duration d) { return std::chrono::duration<double>(d).count(); }

// Seconds: from what a warm guest takes to what a run may.
const Histogram::BucketBoundaries kSeconds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300};

double ResidentBytes() {
  double pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double OpenDescriptors() {
  std::error_code error;
  double n = 0;
  for (auto i = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && i != std::filesystem::directory_iterator(); i.increment(error))
    ++n;
  return n;
}

}  // namespace

struct Metrics::Families {
  prometheus::Registry registry;

  Family<Counter>& NewCounter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Family<Gauge>& NewGauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  Histogram& NewHistogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, kSeconds);
  }

  Family<Counter>& runs = NewCounter("postern_runs_total", "Runs that have ended, by outcome");
  Family<Counter>& refused =
      NewCounter("postern_runs_refused_total", "Runs that found no place, by reason");
  Histogram& run_seconds = NewHistogram("postern_run_seconds", "From a run's place to its outcome");
  Histogram& wait_seconds =
      NewHistogram("postern_run_wait_seconds", "How long runs waited for a place");
  Histogram& spawn_seconds =
      NewHistogram("postern_spawn_seconds", "From asking for a spare to having one");
  Family<Gauge>& runs_now = NewGauge("postern_runs", "Runs at this moment, by state");
  Gauge& run_places = NewGauge("postern_run_places", "Runs that there may be at a time").Add({});
  Gauge& spares = NewGauge("postern_spares", "Warm guests that wait for a run").Add({});
  Gauge& zygotes = NewGauge("postern_zygotes", "Processes that spares are forked from").Add({});
  Family<Counter>& requests =
      NewCounter("postern_handler_requests_total", "Requests that were answered, by status");
  Histogram& request_seconds =
      NewHistogram("postern_handler_request_seconds", "From a request's head to its answer's end");
  Family<Counter>& guests_ended = NewCounter("postern_handler_guests_ended_total",
                                             "Guests of the handler that have ended, by outcome");
  Gauge& guests = NewGauge("postern_handler_guests", "Guests of the handler").Add({});
  Family<Gauge>& requests_now =
      NewGauge("postern_handler_requests", "Requests at this moment, by state");
  Gauge& saturation =
      NewGauge("postern_saturation_ratio",
               "Runs or requests, with those that wait, per place: what an autoscaler goes by")
          .Add({});
  Family<Counter>& fetches =
      NewCounter("postern_fetches_total", "Requests of guests, by the policy's decision");
  Family<Counter>& fetch_errors = NewCounter(
      "postern_fetch_errors_total", "Requests of guests that failed, by code (docs/errors.md)");
  Family<Counter>& fetch_bytes =
      NewCounter("postern_fetch_bytes_total", "Bytes of bodies that guests sent and received");
  Counter& stalls =
      NewCounter("postern_loop_stalls_total", "Turns of the event loop that took 50 ms or more")
          .Add({});
  Family<Gauge>& layers =
      NewGauge("postern_layer_on", "1 where a layer confines a process here (postern doctor)");
  Gauge& resident =
      NewGauge("process_resident_memory_bytes", "Resident memory of the server").Add({});
  Gauge& descriptors = NewGauge("process_open_fds", "Open descriptors of the server").Add({});

  std::array<Counter*, 600> by_status{};
};

Metrics::Metrics(const nlohmann::json& doctor) : f_(std::make_unique<Families>()) {
  const auto parts = doctor.find("parts");
  if (parts == doctor.end()) return;
  for (const auto& [part, layers] : parts->items()) {
    if (!layers.is_object()) continue;
    for (const auto& [list, value] : {std::pair{"on", 1.0}, std::pair{"missing", 0.0}}) {
      const auto names = layers.find(list);
      if (names == layers.end() || !names->is_array()) continue;
      for (const auto& name : *names) {
        if (!name.is_string()) continue;
        const std::string text = name;  // "seccomp" or "user: why it is off"
        f_->layers.Add({{"process", part}, {"layer", text.substr(0, text.find(':'))}}).Set(value);
      }
    }
  }
}

Metrics::~Metrics() = default;

void Metrics::RunStarted(Duration waited) { f_->wait_seconds.Observe(Seconds(waited)); }

void Metrics::RunEnded(const run_api::Outcome& outcome, Duration ran) {
  f_->runs.Add({{"outcome", outcome.KindText()}}).Increment();
  f_->run_seconds.Observe(Seconds(ran));
}

void Metrics::RunRefused(const char* reason) { f_->refused.Add({{"reason", reason}}).Increment(); }

void Metrics::RequestAnswered(int status, Duration took) {
  if (status < 0 || static_cast<size_t>(status) >= f_->by_status.size()) return;
  Counter*& counter = f_->by_status[static_cast<size_t>(status)];
  if (counter == nullptr)
    counter = &f_->requests.Add({{"status", status == 0 ? "none" : std::to_string(status)}});
  counter->Increment();
  f_->request_seconds.Observe(Seconds(took));
}

void Metrics::GuestEnded(const char* outcome) {
  f_->guests_ended.Add({{"outcome", outcome}}).Increment();
}

void Metrics::Stalled() { f_->stalls.Increment(); }

void Metrics::Spawned(Duration took) { f_->spawn_seconds.Observe(Seconds(took)); }

void Metrics::Fetched(const NetUsage& usage) {
  const auto add = [](Family<Counter>& family, const char* label, const std::string& value,
                      uint64_t n) {
    if (n > 0) family.Add({{label, value}}).Increment(static_cast<double>(n));
  };
  add(f_->fetches, "decision", "allowed", usage.requests - std::min(usage.denied, usage.requests));
  add(f_->fetches, "decision", "denied", usage.denied);
  add(f_->fetch_bytes, "direction", "received", usage.bytes_in);
  add(f_->fetch_bytes, "direction", "sent", usage.bytes_out);
  // A label is of the table: a recording may have any code, and so may a broker that was taken
  // over.
  for (const auto& [code, n] : usage.errors)
    add(f_->fetch_errors, "code", channel::FindFailureKind(code) != nullptr ? code : "other", n);
}

std::string Metrics::Text(const Now& now) {
  const auto set = [](Family<Gauge>& family, const char* state, size_t n) {
    family.Add({{"state", state}}).Set(static_cast<double>(n));
  };
  set(f_->runs_now, "running", now.runs_running);
  set(f_->runs_now, "waiting", now.runs_waiting);
  f_->run_places.Set(static_cast<double>(now.run_places));
  f_->spares.Set(static_cast<double>(now.spares));
  f_->zygotes.Set(static_cast<double>(now.zygotes));
  f_->guests.Set(static_cast<double>(now.guests));
  set(f_->requests_now, "running", now.requests_running);
  set(f_->requests_now, "waiting", now.requests_waiting);
  const size_t busy = now.handler ? now.requests_running + now.requests_waiting
                                  : now.runs_running + now.runs_waiting;
  const size_t places = now.handler ? now.request_places : now.run_places;
  f_->saturation.Set(places == 0 ? 0 : static_cast<double>(busy) / static_cast<double>(places));
  f_->resident.Set(ResidentBytes());
  f_->descriptors.Set(OpenDescriptors());
  return prometheus::TextSerializer().Serialize(f_->registry.Collect());
}

}  // namespace postern::server
