// SparePool: warm spares, and the zygotes that they are forked from, for a supervisor that runs
// many guests.
//
// A spare that cannot be made, for want of processes, memory or descriptors, is one spare less; the
// guests that there are go on, and after a pause, longer each time, it is tried again.
//
// All children of a zygote share its address layout. A guest that died by a signal may have tried
// what it could there, and the next one could go on where it stopped: so after any abnormal death,
// and after a number of guests in any case, a zygote makes no more spares. Its idle ones are let
// go, its running guests end in their own time, and another zygote takes its place.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/process_exit.h"
#include "base/result.h"
#include "loop/owner.h"
#include "supervisor/child_process.h"

namespace postern::supervisor {

class SparePool {
 public:
  struct Options {
    ChildProcess::Program program;      // the worker's (programs.h)
    size_t spares = 2;                  // idle, at most
    uint64_t guests_per_zygote = 1000;  // at least 1
  };
  // A spare that is the caller's: its pipes' far ends (channel/spare_fds.h), and itself.
  struct WarmSpare {
    uint64_t id = 0;
    std::vector<UniqueFd> fds;
    UniqueFd pidfd;
    std::shared_ptr<const nlohmann::json> layers;  // what confines it
  };
  SparePool(boost::asio::io_context& io, Options options)
      : io_(io), options_(std::move(options)), again_(io) {}
  ~SparePool() { owner_.Leave(); }
  SparePool(const SparePool&) = delete;
  SparePool& operator=(const SparePool&) = delete;

  // Starts the first zygote.
  Status Start();
  // Gives a warm spare, at once or when there is one, in the order of the calls; or an error, where
  // workers do not start. `ended` is called once, when the guest's process is gone.
  void Acquire(std::function<void(Result<WarmSpare>)> taken,
               std::function<void(const ProcessExit&)> ended);
  // Before the caller kills a guest for a reason of its own: that says nothing against the zygote.
  void ExpectKill(uint64_t id);

  size_t zygotes_started() const { return started_; }
  size_t zygotes() const { return zygotes_.size(); }
  // Spares that a call of Acquire would get at once.
  size_t idle() const;

 private:
  struct SpareSlot {
    WarmSpare idle;  // until it is taken
    bool forked = false, taken = false, killed = false;
    bool let_go = false;  // its pipes are closed: it ends, through no fault of its own
    std::function<void(const ProcessExit&)> ended;
  };
  struct ZygoteProcess {
    std::unique_ptr<ChildProcess> child;
    std::shared_ptr<const nlohmann::json> layers;
    std::map<uint64_t, SpareSlot> slots;
    uint64_t forks = 0;
    bool retired = false;     // forks no more
    bool distrusted = false;  // a guest died badly: its idle spares are let go
    bool gone = false;
  };
  struct PendingAcquire {
    std::function<void(Result<WarmSpare>)> taken;
    std::function<void(const ProcessExit&)> ended;
  };

  Result<ZygoteProcess*> StartZygote();
  ZygoteProcess* Current();
  void Refill();
  void AssignWaiting();
  void Retire(ZygoteProcess& zygote, bool trusted);
  void OnMessage(ZygoteProcess& zygote, channel::ReceivedControl received);
  void OnSpareMade(ZygoteProcess& zygote, uint64_t id, std::vector<UniqueFd> fds, bool lost_fds);
  void OnExited(ZygoteProcess& zygote, const channel::SpareExited& exited);
  void OnGone(ZygoteProcess& zygote, const std::string& why);
  void OnSpareFailed(const std::string& why);
  bool HasGuests() const;
  void FailWaiting(const std::string& why);
  void SweepSoon();

  boost::asio::io_context& io_;
  const Options options_;
  std::list<ZygoteProcess> zygotes_;
  std::deque<PendingAcquire> waiting_;
  uint64_t next_id_ = 1;
  size_t started_ = 0;
  int failures_ = 0;  // zygotes that ended, since one made a spare
  // Spares that could not be made, one after the other: for a while no other is asked for.
  int spare_failures_ = 0;
  bool resting_ = false;
  boost::asio::steady_timer again_;
  bool sweep_queued_ = false;
  loop::Owner owner_;
};

}  // namespace postern::supervisor
