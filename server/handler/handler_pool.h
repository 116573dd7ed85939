// HandlerPool: the guests of `postern serve --handler`: as many as are wanted, each replaced when
// it has answered its number, when it dies, and when there is new code; and the requests that wait
// for one of them.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/handler/handler_instance.h"
#include "server/metrics/metrics.h"
#include "supervisor/policy_in_force.h"
#include "supervisor/program_source.h"
#include "supervisor/run.h"
#include "supervisor/spare_pool.h"

namespace postern::server {

class HandlerPool {
 public:
  struct Options {
    size_t guests = 2;      // that take requests
    size_t processes = 16;  // with those that have only to end, at most
    size_t waiting = 1024;  // requests that wait for a guest; more are refused
    std::chrono::milliseconds queue_patience{30'000};
    HandlerInstance::Options guest;
  };

  HandlerPool(boost::asio::io_context& io, const Options& options, Metrics& metrics)
      : io_(io),
        options_(options),
        metrics_(metrics),
        waited_(io, [this] { OnWaitedTooLong(); }),
        relief_(io, [this] { Relieve(); }),
        again_(io, [this] { Refill(); }) {}
  ~HandlerPool();

  // Code, with the policy that it runs under. Its guests take the place of those of older code once
  // the first of them is ready; where none gets ready, the older code stays.
  Status Load(std::shared_ptr<supervisor::PolicyInForce> policy, supervisor::ProgramSource entry);

  // Sends a request to a guest, now or when one has a place. `request.client` hears how it ends.
  void Send(const HandlerRequestPtr& request);
  void Cancel(const HandlerRequestPtr& request);
  // Ends all guests, those first that have no requests.
  void Retire();
  void KillAll(const std::string& why);

  bool ready() const { return current_ != nullptr; }
  size_t guests() const { return guests_.size(); }
  size_t waiting() const { return waiting_.size(); }
  size_t outstanding() const;
  // Why a response is none, or breaks off. At most once a second: clients may ask for many.
  void LogBadResponse(const std::string& line);
  Metrics& metrics() { return metrics_; }
  // Requests that guests can have at a time.
  size_t places() const { return options_.guests * options_.guest.concurrency; }

  // Called from the loop: a line about what happened, for the log; what a guest prints; what became
  // of a Load: empty, or why its code does not run.
  std::function<void(const std::string&)> log;
  std::function<void(uint64_t guest, bool err, std::string_view line)> print;
  std::function<void(const std::string& failure)> loaded;

 private:
  using Clock = std::chrono::steady_clock;

  // Code with its policy, and what its guests share.
  struct Code {
    std::shared_ptr<supervisor::PolicyInForce> policy;
    supervisor::ProgramSource entry;
    std::unique_ptr<supervisor::BrokerLink> files;
    std::shared_ptr<supervisor::SparePool> spares;
    bool proven = false;             // a guest of it was ready
    int failures = 0;                // guests that ended without a request, one after the other
    Clock::time_point not_before{};  // the next start, after failures
  };
  struct HandlerMember {
    std::shared_ptr<HandlerInstance> guest;
    std::shared_ptr<supervisor::Run> run;
    std::shared_ptr<Code> code;
    std::shared_ptr<std::string> out, err;  // begun lines
  };
  struct QueuedRequest {
    HandlerRequestPtr request;
    Clock::time_point until;
  };

  void Refill();
  void StartGuest(const std::shared_ptr<Code>& code);
  void OnReady(const std::shared_ptr<HandlerInstance>& guest, const std::shared_ptr<Code>& code);
  void OnEnded(const std::shared_ptr<HandlerInstance>& guest, const std::shared_ptr<Code>& code,
               const run_api::Outcome& outcome);
  void RetireOthers(const std::shared_ptr<Code>& code);
  std::shared_ptr<HandlerInstance> Choose() const;
  void Dispatch();
  // Guests end as soon as they are started: nobody is kept waiting for the next one.
  bool DoesNotStart() const;
  void FailFirst(const HandlerFailure& failure);
  void OnWaitedTooLong();
  // Requests wait: places whose guests wait for slow clients are given up for them.
  void Relieve();
  supervisor::Forwarder::Sink PrintLines(uint64_t guest, bool err,
                                         std::shared_ptr<std::string> line);

  boost::asio::io_context& io_;
  const Options options_;
  Metrics& metrics_;
  const Result<supervisor::MemoryCgroups> cgroups_ = supervisor::MemoryCgroups::Find();
  std::shared_ptr<Code> current_, next_;  // next_: not proven yet
  std::vector<std::weak_ptr<Code>> codes_;
  std::vector<HandlerMember> guests_;
  std::deque<QueuedRequest> waiting_;
  loop::Deadline waited_, relief_, again_;
  uint64_t next_id_ = 1;
  Clock::time_point bad_response_logged_{};
  uint64_t bad_responses_ = 0;  // since then, without a line
  bool retiring_ = false;
};

}  // namespace postern::server
