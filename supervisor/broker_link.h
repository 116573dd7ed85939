// BrokerLink: the supervisor's view of one broker of a run: started when first needed, replaced
// when it dies or no longer answers.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "supervisor/child.h"

namespace postern::supervisor {

class BrokerLink {
 public:
  // `payload`: what each guest is bound with (a policy); `run`: the run's name in logs.
  BrokerLink(boost::asio::io_context& io, Child::Program program, std::string payload,
             std::string run)
      : io_(io),
        program_(std::move(program)),
        payload_(std::move(payload)),
        run_(std::move(run)),
        patience_(io) {}

  // Starts the broker unless it runs. An error where it cannot be started.
  Status Start();
  // Hands a channel over. A broker that has one already is asked whether it still lives, first.
  Status Bind(UniqueFd in, UniqueFd out);
  // Ends the channels and collects what was used; `done` is called once, soon.
  void Finish(std::function<void()> done);

  const nlohmann::json& layers() const { return layers_; }
  const std::vector<nlohmann::json>& usages() const { return usages_; }
  // A sentence, where the broker could not start; `bad_input`: by the user's own file.
  std::function<void(const std::string&, bool bad_input)> failed;
  // Ends the process; nothing is bound any more.
  void Stop() { child_.reset(); }
  // Gives a program that is not started yet one more descriptor, by an argument "name=NUMBER".
  void Give(const std::string& name, int fd) {
    program_.arguments.push_back(name + std::to_string(4 + program_.inherited.size()));
    program_.inherited.push_back(fd);
  }

 private:
  void OnMessage(const channel::ControlMessage& m);
  void OnGone();
  void SendBind();
  void Replace();

  boost::asio::io_context& io_;
  Child::Program program_;
  std::string payload_, run_;
  std::unique_ptr<Child> child_;
  boost::asio::steady_timer patience_;
  uint64_t generation_ = 0;  // of `child_`
  uint64_t next_id_ = 1;
  std::vector<uint64_t> bound_;
  std::pair<UniqueFd, UniqueFd> waiting_;
  nlohmann::json layers_;
  std::vector<nlohmann::json> usages_;
  std::function<void()> finished_;
};

}  // namespace postern::supervisor
