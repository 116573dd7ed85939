// BrokerLink: the supervisor's view of one broker process, which serves any number of guests:
// started when first needed, replaced when it dies or no longer answers.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "base/format.h"
#include "loop/owner.h"
#include "supervisor/child_process.h"
#include "supervisor/program_source.h"

namespace postern::supervisor {

class BrokerLink;

// One run's use of a broker; of no more use when the link is gone.
class BrokerBinding {
 public:
  // `payload`: what the guest is bound with (a policy); `run`: the run's name in logs. `failed`
  // gets a sentence, where the broker could not start; `bad_input`: by the user's own file.
  // `events` gets each of a net broker's events, as a line of JSON, and how many before it were
  // lost; empty where nobody listens.
  using EventSink = std::function<void(const std::string& line, int64_t lost)>;
  BrokerBinding(BrokerLink& link, std::string payload, std::string run,
                std::function<void(const std::string&, bool bad_input)> failed,
                EventSink events = nullptr);
  ~BrokerBinding();
  BrokerBinding(const BrokerBinding&) = delete;
  BrokerBinding& operator=(const BrokerBinding&) = delete;

  // Hands a channel over. A broker that has one of this guest already is asked whether it still
  // lives, first.
  Status Bind(UniqueFd in, UniqueFd out);
  // Ends the channels and collects what was used; `done` is called once, soon.
  void Close(std::function<void()> done);
  // What was used until now, over all channels that a broker lived to tell of.
  NetUsage usage() const;
  // Called when there is more of it.
  std::function<void()> used;

 private:
  friend class BrokerLink;
  // Whether nothing waits any more; false: the broker takes no message.
  bool SendBind();
  void Complete();

  BrokerLink* link_;
  const std::string payload_, run_;
  const std::function<void(const std::string&, bool)> failed_;
  const EventSink events_;
  std::vector<uint64_t> bound_;  // the link knows them by these
  std::pair<UniqueFd, UniqueFd> waiting_;
  NetUsage closed_;                      // of channels that are closed
  std::map<uint64_t, NetUsage> so_far_;  // of others
  boost::asio::steady_timer patience_;
  std::function<void()> finished_;
  loop::Owner owner_;
};

class BrokerLink {
 public:
  BrokerLink(boost::asio::io_context& io, ChildProcess::Program program)
      : io_(io), program_(std::move(program)), patience_(io) {}
  ~BrokerLink();
  BrokerLink(const BrokerLink&) = delete;
  BrokerLink& operator=(const BrokerLink&) = delete;

  // Starts the broker unless it runs. An error where it cannot be started.
  Status Start();
  // Starts it, and calls `done` when it has read all that it needs, or cannot: what it answers from
  // may be long.
  void WhenReady(std::function<void()> done);
  // Ends the process; nothing is bound any more.
  void Stop();
  // null until a broker has said them
  const nlohmann::json& layers() const { return layers_; }
  // Gives a program that is not started yet one more descriptor, by an argument "name=NUMBER".
  void InheritDescriptor(const std::string& name, int fd) {
    program_.arguments.push_back(fmt::format("{}{}", name, 4 + program_.inherited.size()));
    program_.inherited.push_back(fd);
  }
  // The same of what the replay adapter answers from, if there is any.
  void InheritRecording(const Recording& recording) {
    if (!recording.file.valid()) return;
    InheritDescriptor("--replay=", recording.file.get());
    InheritDescriptor("--beside=", recording.directory.get());
  }

 private:
  friend class BrokerBinding;
  bool IsWaitedFor() const;
  void AskWhetherItLives();
  void Replace();
  bool SendWaiting();
  void OnMessage(const channel::ControlMessage& message);
  void OnReady(const channel::Ready& ready);
  void OnBindFailed(const channel::BindFailed& failed);
  void OnPong();
  void OnGuestEvent(const channel::GuestEvent& event);
  void OnUsage(const channel::UsageReport& report);
  void OnChannelClosed(const channel::ChannelClosed& closed);
  void OnGone();
  void Fail(const std::string& why, bool bad_input);
  void CompleteReady();

  boost::asio::io_context& io_;
  ChildProcess::Program program_;
  std::unique_ptr<ChildProcess> child_;
  uint64_t generation_ = 0;  // of `child_`
  uint64_t next_id_ = 1;
  std::set<BrokerBinding*> guests_;
  std::map<uint64_t, BrokerBinding*> bound_;
  boost::asio::steady_timer patience_;
  nlohmann::json layers_;
  bool ready_ = false;
  std::vector<std::function<void()>> when_ready_;
  loop::Owner owner_;
};

}  // namespace postern::supervisor
