// Run: one guest, from the spare that it was to its outcome: limits, pipes, brokers. Who gives the
// spare, and what is behind the brokers, is the business of who runs it: `postern run`
// (run_command.h) or `postern serve` (server.h).
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/exit_status.h"
#include "base/process_exit.h"
#include "channel/guest_order.h"
#include "policy/file/policy_file.h"
#include "run_api/json_size.h"
#include "run_api/outcome.h"
#include "supervisor/background.h"
#include "supervisor/broker_link.h"
#include "supervisor/forwarder.h"
#include "supervisor/memory_cgroup.h"

namespace postern::supervisor {

class Run : public std::enable_shared_from_this<Run> {
 public:
  struct Job {
    std::string name;           // in logs
    channel::GuestOrder order;  // but for what the policy says
    policy::Policy network;
    policy::RunLimits limits;
    std::map<std::string, std::string> env;
    bool debug_seccomp = false;
    Forwarder::Sink out, err;  // empty: kept in the outcome
    // Gets the guest's stdin when the guest first reads it; where empty, that is at its end.
    std::function<void(UniqueFd)> input;
    BrokerBinding::EventSink events;  // of its requests; may be empty
    // Where set, the guest answers requests (GuestOrder::handler) on this channel, for as long as
    // its owner lets it: `wall` is the owner's business, the other limits hold from one ResetLimits
    // to the next.
    std::function<void(UniqueFd from_guest, UniqueFd to_guest)> channel;
    // What its requests have used since the last call; may be empty.
    std::function<void(const NetUsage&)> used;
  };
  // What a run works with; all of it outlives the run.
  struct RunEnvironment {
    boost::asio::io_context& io;
    BrokerLink& net;
    BrokerLink& files;
    const Result<MemoryCgroups>& cgroups;
    Background* background = nullptr;  // for long work; null where nobody else waits for the loop
  };
  // `done` is called once, from the loop. `will_kill` is called before the guest is killed.
  Run(const RunEnvironment& environment, Job job, std::function<void(run_api::Outcome)> done,
      std::function<void()> will_kill = nullptr);

  // The spare becomes the guest: limits are armed, pipes are watched, the order goes out. `fds` are
  // those of channel/spare_fds.h.
  void Start(std::vector<UniqueFd> fds, UniqueFd pidfd);
  // Its process has ended.
  void OnExit(const ProcessExit& end);
  // A signal came for it. Where the guest listens for it, it is told, and has `limits.grace` until
  // its end; else, and at the second one, it ends now.
  void Interrupt(int signal);
  // It is to end now: a limit, somebody's wish. What it printed until now still arrives.
  void Kill(run_api::Outcome::Kind kind, int status, const std::string& why);
  // What is limited is counted anew: the guest has answered.
  void ResetLimits();
  // It cannot be run, or not any more, by no fault of the guest.
  void FailToRun(const std::string& why, int status = kExitCannotRun);

  // Waits until the guest's process is gone: where there is no pid namespace, nobody else does.
  void AwaitProcess() const;

  // The place for what confines a part of it, in its outcome.
  nlohmann::json& Confinement(const char* part) { return outcome_.confinement[part]; }

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;
  using Clock = std::chrono::steady_clock;
  enum class State {
    kReady,       // it has no process
    kRunning,     // until that is gone and all that it said is here
    kReading,     // its result, which is long
    kCollecting,  // what it used of its brokers
    kOver         // `done` is called, or soon
  };

  void LimitMemory();
  void LimitWallClock();
  void WatchCpu();
  void ReadPipes(std::vector<UniqueFd>& fds);
  void HearGuest();
  void AttachStdin();
  void AwaitFirstByte(BrokerBinding& broker, UniqueFd from_guest, UniqueFd to_guest);
  void AwaitFirstByte(BrokerBinding& broker, const std::shared_ptr<Descriptor>& pipe,
                      const std::shared_ptr<UniqueFd>& out);
  void SendOrder(UniqueFd fd);
  void FinishIfComplete();
  void ClassifyResult(const Result<bool>& complete);
  void ReadResultAndComplete();
  void CountUsage();
  void CollectUsage();
  void Complete();
  int64_t MillisecondsSinceBegin() const;

  const RunEnvironment environment_;
  Job job_;
  std::function<void(run_api::Outcome)> done_;
  std::function<void()> will_kill_;
  run_api::Outcome outcome_;
  BrokerBinding net_, files_;
  boost::asio::steady_timer wall_, cpu_, grace_;
  std::unique_ptr<MemoryCgroup> cgroup_;
  UniqueFd pidfd_, stdin_;
  pid_t pid_ = 0;
  std::shared_ptr<Forwarder> out_, err_, result_pipe_;
  std::vector<std::shared_ptr<Descriptor>> watched_;
  std::shared_ptr<Descriptor> order_pipe_;
  std::string heard_;  // the numbers of signals that the guest listens for, a byte each
  std::string result_;
  NetUsage counted_;
  int64_t output_ = 0, cpu_before_ms_ = 0;
  int wait_status_ = 0;
  Clock::time_point began_at_{};
  run_api::JsonSize out_size_, err_size_;  // of what is kept
  State state_ = State::kReady;
  bool exited_ = false;       // its process is gone
  bool killed_ = false;       // its outcome is ours, whatever the guest still says
  bool interrupted_ = false;  // it was told, and has some time
  bool renewed_ = false;      // what is limited is counted anew, from the next look on
};

// Bytes of what an order carries. Files and source alone may be as long as a request's body.
size_t SizeOf(const channel::GuestOrder& order);

// A name for a run: 64 random bits in hexadecimal.
std::string RunName();

}  // namespace postern::supervisor
