// RunService: runs that a server was asked for: waiting, running, ended; whose they are, and what
// became of them. It knows nothing of HTTP (api.h).
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "server/metrics/metrics.h"
#include "server/runs/admission.h"
#include "server/runs/run_input.h"
#include "server/runs/run_queue.h"
#include "supervisor/policy_in_force.h"
#include "supervisor/program_source.h"
#include "supervisor/run.h"
#include "supervisor/spare_pool.h"

namespace postern::server {

class RunService {
 public:
  struct Options {
    RunQueue::Options queue;
    size_t spares = 2;  // of each caller
    uint64_t guests_per_zygote = 1000;
    size_t callers = 16;                 // that have a zygote at a time
    size_t waiting_bytes = 256UL << 20;  // of what came with runs that wait for a place
    size_t mounts = 256;  // directories that came with requests, of all runs together
    size_t kept = 1000;   // ended runs that can be asked for
    size_t kept_bytes = 64UL << 20;
    std::chrono::seconds kept_for{600};
  };
  enum class State { kQueued, kRunning, kEnded };

  struct RunRecord {
    std::string id, caller;
    State state = State::kQueued;
    // JSON, when ended. Shared with the answers that hold it.
    std::shared_ptr<const std::string> outcome;
    // It waited, and never began: what a client that waits for it is answered.
    std::optional<run_api::ApiProblem> turned_away;
    // Called as it happens; all may be empty.
    std::function<void()> started;
    supervisor::Forwarder::Sink out, err;
    supervisor::BrokerBinding::EventSink network;
    std::function<void()> wants_input;  // the guest reads its stdin, which is to come
    std::function<void(const RunRecord&)> ended;
    // Its stdin; null where that came with the request, or is empty.
    std::shared_ptr<RunInput> input;

   private:
    friend class RunService;
    uint64_t ticket = 0;
    AdmittedRun request;
    size_t request_bytes = 0;
    std::shared_ptr<supervisor::PolicyInForce> policy;
    std::vector<supervisor::OpenMount> mounts;  // whose descriptors came with the request
    std::unique_ptr<supervisor::BrokerLink> files;
    std::shared_ptr<supervisor::Run> run;
    std::chrono::steady_clock::time_point ended_at;
    std::chrono::steady_clock::time_point submitted_at, started_at;
    bool kept = false;
    bool ending = false;  // its outcome is being written
  };
  using RecordPtr = std::shared_ptr<RunRecord>;

  RunService(boost::asio::io_context& io, const Options& options,
             std::shared_ptr<supervisor::PolicyInForce> policy, Metrics& metrics,
             supervisor::Background& background);
  ~RunService();

  // Starts the workers of `caller`, whom the first run is expected from.
  Status Warm(const std::string& caller);
  // Takes a run in; null where too many wait. `prepare` gets its record before anything happens.
  RecordPtr Submit(const std::string& caller, AdmittedRun request,
                   std::vector<supervisor::OpenMount> mounts, bool keep,
                   const std::function<void(RunRecord&)>& prepare);
  // A run of this caller's; null where there is none.
  RecordPtr Find(const std::string& caller, const std::string& id);
  std::vector<RecordPtr> All(const std::string& caller);
  // Ends a run, whatever it is at.
  void Kill(const RecordPtr& record, const std::string& why);
  void KillAll(const std::string& why);

  // What new runs are narrowed from.
  const std::shared_ptr<supervisor::PolicyInForce>& policy() const { return policy_; }
  void SetPolicy(std::shared_ptr<supervisor::PolicyInForce> policy) { policy_ = std::move(policy); }

  // Whether there is room for so many directories more.
  bool HasRoomForMounts(size_t count) const;
  size_t running() const { return queue_.running(); }
  size_t waiting() const { return queue_.waiting(); }
  size_t places() const { return options_.queue.places; }
  // Warm guests, and the zygotes that they come from.
  std::pair<size_t, size_t> SparesAndZygotes() const;
  // Whether the next run of `caller` finds a warm spare.
  bool IsWarm(const std::string& caller) const;
  // A line for each run that has ended; for logs.
  std::function<void(const std::string&)> log;

 private:
  struct Pool {
    std::shared_ptr<supervisor::SparePool> spares;
    size_t running = 0;
    uint64_t used = 0;
  };

  // Of what came with runs that wait, by caller.
  std::map<std::string, size_t> WaitingBytes() const;
  bool MakeRoomForBytes(const std::string& caller, size_t bytes);
  // It waits, and never begins.
  void TurnAway(const RecordPtr& record, run_api::ApiProblem problem);
  Result<std::shared_ptr<Pool>> PoolOf(const std::string& caller);
  void Start(const RecordPtr& record);
  void OnEnded(const RecordPtr& record, run_api::Outcome outcome, bool started);
  void OnOutcome(const RecordPtr& record, const run_api::Outcome& outcome, bool started,
                 std::string json);
  void Keep(const RecordPtr& record);
  void Forget();

  boost::asio::io_context& io_;
  const Options options_;
  std::shared_ptr<supervisor::PolicyInForce> policy_;
  const Result<supervisor::MemoryCgroups> cgroups_;
  RunQueue queue_;
  Metrics& metrics_;
  supervisor::Background& background_;
  std::map<std::string, std::shared_ptr<Pool>> pools_;
  std::map<std::string, RecordPtr> records_;
  std::deque<RecordPtr> kept_;  // the first to end first
  size_t kept_bytes_ = 0;
  uint64_t next_ = 1;
};

}  // namespace postern::server
