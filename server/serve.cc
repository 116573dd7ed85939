#include "server/serve.h"

#include <time.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "server/api.h"
#include "server/listeners.h"
#include "server/notify.h"
#include "server/run_service.h"
#include "supervisor/doctor.h"
#include "supervisor/log_link.h"

namespace postern::server {
namespace {

using ErrorCode = boost::system::error_code;
using supervisor::Settings;

constexpr int kCannotServe = 125;
constexpr auto kReadyWithin = std::chrono::seconds(20);
constexpr size_t kMinTokenBytes = 16;

// A line for people; the journal takes the number for its priority (sd-daemon(3)).
void Say(int priority, const std::string& line) {
  static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  std::fprintf(
      stderr, "%s%s\n",
      journal ? ("<" + std::to_string(priority) + ">").c_str() : "postern: ", line.c_str());
}
constexpr int kErrorPriority = 3, kWarning = 4, kInfo = 6;

// "NAME TOKEN" lines, or a token alone; "#" begins a comment.
Result<std::map<std::string, std::string>> ReadTokens(const std::string& path) {
  std::ifstream file(path);
  if (!file) return SystemError("cannot read the tokens in " + path);
  std::map<std::string, std::string> tokens;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    std::string first, second, rest;
    if (!(words >> first)) continue;
    if (!(words >> second)) second = std::exchange(first, "default");
    const std::string where = path + ":" + std::to_string(number) + ": ";
    if (words >> rest) return Error{where + "a line is a name and a token"};
    if (second.size() < kMinTokenBytes)
      return Error{where + "a token has at least " + std::to_string(kMinTokenBytes) +
                   " characters"};
    tokens[second] = first;
  }
  if (tokens.empty()) return Error{path + " has no token"};
  return tokens;
}

class Server {
 public:
  Server(const Settings& settings, nlohmann::json doctor, std::map<std::string, std::string> tokens,
         std::function<std::variant<Settings, supervisor::Refusal>()> reload)
      : settings_(settings),
        reload_(std::move(reload)),
        runs_(io_, OptionsFrom(settings), std::make_shared<PolicyInForce>(io_, settings)),
        api_(io_, runs_,
             {.tokens = std::move(tokens),
              .doctor = std::move(doctor),
              .limits = {.request = std::chrono::milliseconds(settings.serve.request_timeout)}}),
        listeners_(io_, [this](Listeners::Socket socket,
                               bool local) { api_.Accept(std::move(socket), local); }),
        stop_(io_, SIGTERM, SIGINT),
        hangup_(io_, SIGHUP),
        watchdog_(io_),
        deadline_(io_),
        poll_(io_) {}

  Status Start() {
    log_.failed = [this](const std::string& why) { Fail("the log process cannot run: " + why); };
    if (Status s = log_.Start(settings_); !s) return s;
    if (log_.broker_end() >= 0) runs_.policy()->net.Give("--events=", log_.broker_end());
    if (Status s = Listen(); !s) return s;
    if (Status s = runs_.Warm("uid:" + std::to_string(::geteuid())); !s) return s;
    runs_.log = [](const std::string& line) { Say(kInfo, line); };
    AwaitStop();
    AwaitReload();
    FeedWatchdog();
    AwaitWarm(std::chrono::steady_clock::now() + kReadyWithin);
    return Ok{};
  }

  int Run() {
    io_.run();
    listeners_.Close();
    return status_;
  }

 private:
  static RunService::Options OptionsFrom(const Settings& s) {
    return {.queue = {.places = s.serve.runs,
                      .waiting = s.serve.queue,
                      .patience = std::chrono::milliseconds(s.serve.queue_timeout)},
            .spares = s.serve.spares};
  }

  Status Listen() {
    for (UniqueFd& fd : GivenSockets()) {
      if (Status s = listeners_.AddGiven(std::move(fd)); !s) return s;
    }
    const auto& serve = settings_.serve;
    if (!serve.socket.empty()) {
      if (Status s = listeners_.AddUnix(serve.socket); !s) return s;
    }
    if (!serve.listen.empty()) {
      if (Status s = listeners_.AddTcp(serve.listen); !s) return s;
    }
    if (listeners_.addresses().empty())
      return Error{"nothing to listen at: give --socket=PATH, or --listen=PORT with --token-file"};
    if (listeners_.has_tcp() && serve.token_file.empty())
      return Error{"a TCP socket needs tokens: give --token-file=FILE"};
    return Ok{};
  }

  void AwaitWarm(std::chrono::steady_clock::time_point until) {
    if (runs_.IsWarm("uid:" + std::to_string(::geteuid()))) {
      std::string where;
      for (const std::string& a : listeners_.addresses()) where += " " + a;
      Say(kInfo, "ready at" + where);
      return Notify("READY=1\nSTATUS=ready at" + where);
    }
    if (std::chrono::steady_clock::now() > until) return Fail("the worker does not start");
    poll_.expires_after(std::chrono::milliseconds(2));
    poll_.async_wait([this, until](const ErrorCode& error) {
      if (!error) AwaitWarm(until);
    });
  }

  // The first signal lets what runs end, for as long as the drain may take; the second does not.
  void AwaitStop() {
    stop_.async_wait([this](const ErrorCode& error, int) {
      if (error) return;
      if (std::exchange(stopping_, true)) return EndNow("the server was stopped");
      Notify("STOPPING=1\nSTATUS=waiting for " + std::to_string(runs_.running()) + " runs");
      Say(kInfo, "stopping: " + std::to_string(runs_.running() + runs_.waiting()) + " runs to end");
      listeners_.Close();
      api_.Drain();
      deadline_.expires_after(std::chrono::milliseconds(settings_.serve.drain_timeout));
      deadline_.async_wait([this](const ErrorCode& cancelled) {
        if (!cancelled) EndNow("the server is stopping");
      });
      AwaitStop();
      AwaitEmpty();
    });
  }

  // Until every run has ended and every answer is written.
  void AwaitEmpty() {
    if (runs_.running() == 0 && runs_.waiting() == 0 && api_.connections() == 0) return Leave();
    poll_.expires_after(std::chrono::milliseconds(5));
    poll_.async_wait([this](const ErrorCode& error) {
      if (!error) AwaitEmpty();
    });
  }

  void EndNow(const std::string& why) {
    runs_.KillAll(why);
    deadline_.expires_after(std::chrono::seconds(3));
    deadline_.async_wait([this](const ErrorCode& error) {
      if (!error) Leave();
    });
  }

  void Leave() {
    poll_.cancel();
    deadline_.cancel();
    runs_.policy()->net.Stop();
    log_.Finish([this] {
      if (!log_.trouble().empty()) Say(kWarning, log_.trouble());
      io_.stop();
    });
  }

  // Files and flags are read again. What runs keeps what it began with.
  void AwaitReload() {
    hangup_.async_wait([this](const ErrorCode& error, int) {
      if (error) return;
      timespec now{};
      ::clock_gettime(CLOCK_MONOTONIC, &now);
      Notify("RELOADING=1\nMONOTONIC_USEC=" +
             std::to_string(now.tv_sec * 1'000'000 + now.tv_nsec / 1'000));
      Reload();
      Notify("READY=1");
      AwaitReload();
    });
  }

  void Reload() {
    if (const Status s = log_.Reopen(); !s)
      Say(kErrorPriority, s.error().message + "; the old one is kept");
    auto read = reload_();
    if (const auto* refusal = std::get_if<supervisor::Refusal>(&read))
      return Say(kErrorPriority, refusal->message + "; the old policy stays in force");
    auto policy = std::make_shared<PolicyInForce>(io_, std::get<Settings>(std::move(read)));
    if (log_.broker_end() >= 0) policy->net.Give("--events=", log_.broker_end());
    runs_.SetPolicy(std::move(policy));
    Say(kInfo, "the policy was read again");
  }

  void FeedWatchdog() {
    const auto interval = WatchdogInterval();
    if (!interval) return;
    Notify("WATCHDOG=1");
    watchdog_.expires_after(*interval / 2);
    watchdog_.async_wait([this](const ErrorCode& error) {
      if (!error) FeedWatchdog();
    });
  }

  void Fail(const std::string& why) {
    Say(kErrorPriority, why);
    status_ = kCannotServe;
    io_.stop();
  }

  const Settings& settings_;
  const std::function<std::variant<Settings, supervisor::Refusal>()> reload_;
  boost::asio::io_context io_{1};
  supervisor::LogLink log_{io_};
  RunService runs_;
  Api api_;
  Listeners listeners_;
  boost::asio::signal_set stop_, hangup_;
  boost::asio::steady_timer watchdog_, deadline_, poll_;
  int status_ = 0;
  bool stopping_ = false;
};

int Refuse(const std::string& why, int status) {
  std::fprintf(stderr, "postern: %s\n", why.c_str());
  return status;
}

}  // namespace

int Serve(const Settings& settings,
          const std::function<std::variant<Settings, supervisor::Refusal>()>& reload) {
  std::map<std::string, std::string> tokens;
  if (!settings.serve.token_file.empty()) {
    auto read = ReadTokens(settings.serve.token_file);
    if (!read) return Refuse(read.error().message, supervisor::kBadInput);
    tokens = *std::move(read);
  }
  auto doctor = supervisor::Examine();
  if (!doctor) return Refuse(doctor.error().message, kCannotServe);
  const bool cgroup = (*doctor)["memoryCgroup"].contains("version");
  if (const auto missing =
          supervisor::MissingLayer(settings.required_layers, (*doctor)["parts"]["worker"], cgroup))
    return Refuse("the layer \"" + *missing +
                      "\" that --require names is not available here; see postern doctor",
                  kCannotServe);
  Server server(settings, *std::move(doctor), std::move(tokens), reload);
  if (Status s = server.Start(); !s) return Refuse(s.error().message, kCannotServe);
  return server.Run();
}

}  // namespace postern::server
