#include "server/serve.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/exit_status.h"
#include "base/format.h"
#include "base/printable.h"
#include "base/text.h"
#include "server/descriptor_budget.h"
#include "server/handler/handler_front.h"
#include "server/http/listeners.h"
#include "server/loop_watch.h"
#include "server/runs/api.h"
#include "server/runs/run_service.h"
#include "server/service_manager.h"
#include "supervisor/doctor.h"
#include "supervisor/log_link.h"
#include "supervisor/orphans.h"
#include "supervisor/process_layers.h"

namespace postern::server {
namespace {

using ErrorCode = boost::system::error_code;

constexpr auto kReadyWithin = std::chrono::seconds(20);
constexpr size_t kMinTokenBytes = 16;
// Where there are descriptors for them: callers that have spares, connections at each door of the
// run API, and those to a handler.
constexpr size_t kCallers = 16, kConnections = 256, kHandlerConnections = 10'000;

constexpr int kErrorPriority = 3, kWarning = 4, kInfo = 6;

bool InJournal() {
  static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  return journal;
}

// A line for people; the journal takes the number for its priority (sd-daemon(3)).
void Say(int priority, const std::string& line) {
  // A guest's error may be a part of it.
  PrintError("{}{}\n", InJournal() ? fmt::format("<{}>", priority) : "postern: ", Printable(line));
}

// A line that a guest of the handler printed: what a terminal would obey is shown.
void PrintLine(uint64_t guest, bool err, std::string_view line) {
  const std::string priority = InJournal() ? fmt::format("<{}>", err ? kWarning : kInfo) : "";
  const std::string text = fmt::format("{}[{}] {}\n", priority, guest, Printable(line));
  std::FILE* to = err || InJournal() ? stderr : stdout;
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

// "NAME TOKEN" lines, or a token alone; "#" begins a comment.
Result<std::map<std::string, std::string>> ReadTokens(const std::string& path) {
  std::ifstream file(path);
  if (!file) return SystemError(fmt::format("cannot read the tokens in {}", path));
  std::map<std::string, std::string> tokens;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    std::string first, second, rest;
    if (!(words >> first)) continue;
    if (!(words >> second)) second = std::exchange(first, "default");
    const std::string where = fmt::format("{}:{}", path, number);
    if (words >> rest) return Error{fmt::format("{}: a line is a name and a token", where)};
    if (second.size() < kMinTokenBytes)
      return Error{fmt::format("{}: a token has at least {} characters", where, kMinTokenBytes)};
    tokens[second] = first;
  }
  if (tokens.empty()) return Error{fmt::format("{} has no token", path)};
  return tokens;
}

// What answers requests by a module's `fetch`.
struct HandlerSide {
  HandlerSide(boost::asio::io_context& io, const ServeOptions& s, const DescriptorBudget& budget,
              Metrics& metrics)
      : pool(io,
             {.guests = std::min(s.guests, budget.handler_guests - 1),
              .processes = budget.handler_guests,
              .waiting = s.queue.value_or(1024),
              .queue_patience = std::chrono::milliseconds(s.queue_timeout),
              .guest = {.concurrency = s.concurrency,
                        .requests = s.guest_requests,
                        .patience = std::chrono::milliseconds(s.handler_timeout)}},
             metrics),
        front(io, pool, {.request = std::chrono::milliseconds(s.request_timeout)},
              budget.handler_connections),
        listeners(io, [this](Listeners::Socket socket, bool) { front.Accept(std::move(socket)); }) {
  }
  bool busy() const { return front.connections() > 0 || pool.outstanding() > 0; }

  HandlerPool pool;
  HandlerFront front;
  Listeners listeners;
};

std::shared_ptr<supervisor::PolicyInForce> MakePolicy(boost::asio::io_context& io,
                                                      const ServeOptions& options) {
  return std::make_shared<supervisor::PolicyInForce>(io, options.policy, options.processes,
                                                     options.log.record_file.has_value());
}

// Why a server cannot be started.
struct StartFailure {
  int exit_status;
  std::string message;
};

class Server {
 public:
  Server(const ServeOptions& options, const DescriptorBudget& budget, nlohmann::json doctor,
         std::map<std::string, std::string> tokens, std::function<Result<ServeOptions>()> reload)
      : options_(options),
        budget_(budget),
        reload_(std::move(reload)),
        metrics_(doctor),
        runs_(io_, OptionsFrom(options, budget), MakePolicy(io_, options), metrics_, background_),
        api_(io_, runs_, background_,
             {.tokens = std::move(tokens),
              .doctor = std::move(doctor),
              .limits = {.request = std::chrono::milliseconds(options.request_timeout)},
              .connections = budget.connections,
              .metrics = [this] { return metrics_.Text(Count()); }}),
        listeners_(io_,
                   [this](Listeners::Socket socket, bool local) {
                     api_.Accept(std::move(socket), local ? Api::Door::kLocal : Api::Door::kToken);
                   }),
        admin_(io_, [this](Listeners::Socket socket,
                           bool) { api_.Accept(std::move(socket), Api::Door::kAdmin); }),
        stop_(io_, SIGTERM, SIGINT),
        hangup_(io_, SIGHUP),
        watchdog_(io_),
        deadline_(io_),
        poll_(io_) {
    if (!options.handler.empty()) handler_.emplace(io_, options, budget, metrics_);
  }

  // Why it cannot be started, with the exit status.
  std::optional<StartFailure> Start() {
    const auto cannot = [](const Status& s, int status = kExitCannotRun) {
      return StartFailure{status, s.error().message};
    };
    log_.failed = [this](const std::string& why) {
      Fail(fmt::format("the log process cannot run: {}", why));
    };
    if (Status s =
            log_.Start(options_.log, options_.policy, options_.processes, options_.program.target);
        !s)
      return cannot(s);
    if (Status s = runs_.policy()->Open(log_.broker_end()); !s) return cannot(s);
    // What the system refuses is no slip of whoever typed it.
    if (Status s = Listen(); !s)
      return cannot(s, s.error().errnum == 0 ? kExitWrongUsage : kExitCannotRun);
    SayBudget();
    if (!listeners_.addresses().empty()) {
      if (Status s = runs_.Warm(fmt::format("uid:{}", ::geteuid())); !s) return cannot(s);
    }
    runs_.log = [](const std::string& line) { Say(kInfo, line); };
    if (handler_) {
      if (Status s = StartHandler(); !s) return cannot(s, kExitBadInput);
    }
    AwaitStop();
    AwaitReload();
    FeedWatchdog();
    AwaitWarm(std::chrono::steady_clock::now() + kReadyWithin);
    return std::nullopt;
  }

  int Run() {
    LoopWatch([this](LoopWatch::Duration took, LoopWatch::Duration cpu) {
      using std::chrono::duration_cast, std::chrono::milliseconds;
      metrics_.Stalled();
      Say(kWarning, fmt::format("one turn of the event loop took {} ms, {} ms of CPU time",
                                duration_cast<milliseconds>(took).count(),
                                duration_cast<milliseconds>(cpu).count()));
    }).Run(io_);
    listeners_.Close();
    admin_.Close();
    if (handler_) handler_->listeners.Close();
    return status_;
  }

 private:
  static RunService::Options OptionsFrom(const ServeOptions& s, const DescriptorBudget& budget) {
    return {.queue = {.places = budget.runs,
                      .waiting = s.queue.value_or(64),
                      .patience = std::chrono::milliseconds(s.queue_timeout)},
            .spares = s.spares,
            .callers = budget.callers,
            .mounts = budget.mounts};
  }

  // The handler has --listen and the TCP sockets that were given; the run API has the rest.
  Status Listen() {
    Listeners& tcp = handler_ ? handler_->listeners : listeners_;
    for (GivenSocket& given : GivenSockets()) {
      const bool handlers = handler_ && (given.name == "handler" || !Listeners::IsUnix(given.fd));
      if (Status s = (handlers ? tcp : listeners_).AddGiven(std::move(given.fd)); !s) return s;
    }
    const ServeOptions& serve = options_;
    if (!serve.socket.empty()) {
      if (Status s = listeners_.AddUnix(serve.socket); !s) return s;
    }
    if (!serve.listen.empty()) {
      if (Status s = tcp.AddTcp(serve.listen); !s) return s;
    }
    if (!serve.admin_listen.empty()) {
      if (Status s = admin_.AddTcp(serve.admin_listen); !s) return s;
    }
    if (handler_ && tcp.addresses().empty())
      return Error{"nowhere for the handler to listen at: give --listen=PORT"};
    if (!handler_ && listeners_.addresses().empty())
      return Error{"nothing to listen at: give --socket=PATH, or --listen=PORT with --token-file"};
    if (listeners_.has_tcp() && serve.token_file.empty())
      return Error{"a TCP socket needs tokens: give --token-file=FILE"};
    return Ok{};
  }

  Status StartHandler() {
    HandlerPool& pool = handler_->pool;
    pool.log = [](const std::string& line) { Say(kInfo, line); };
    pool.print = PrintLine;
    pool.loaded = [this](const std::string& failure) {
      if (failure.empty()) return OnHandlerLoaded();
      if (!pool_was_ready_)
        return Fail(fmt::format("the handler cannot start: {}", failure), kExitFailed);
      Say(kErrorPriority,
          fmt::format("the new code does not start: {}; the old code stays", failure));
      Notify("READY=1");
    };
    return LoadHandler(runs_.policy());
  }

  Status LoadHandler(const std::shared_ptr<supervisor::PolicyInForce>& policy) {
    auto entry = supervisor::ReadProgramSource(options_.program, policy->file.mounts);
    if (!entry) return entry.error();
    for (const std::string& note : entry->notes) Say(kWarning, note);
    return handler_->pool.Load(policy, *std::move(entry));
  }

  void OnHandlerLoaded() {
    if (!std::exchange(pool_was_ready_, true)) return;  // AwaitWarm tells
    Say(kInfo, "the new code takes requests");
    Notify("READY=1");
  }

  void AwaitWarm(std::chrono::steady_clock::time_point until) {
    const bool warm =
        listeners_.addresses().empty() || runs_.IsWarm(fmt::format("uid:{}", ::geteuid()));
    if (warm && (!handler_ || pool_was_ready_)) {
      std::string where;
      for (const std::string& a : listeners_.addresses())
        fmt::format_to(std::back_inserter(where), " {}", a);
      if (handler_) {
        for (const std::string& a : handler_->listeners.addresses())
          fmt::format_to(std::back_inserter(where), " {}", a);
      }
      for (const std::string& a : admin_.addresses())
        fmt::format_to(std::back_inserter(where), " (admin) {}", a);
      Say(kInfo, fmt::format("ready at{}", where));
      return Notify(fmt::format("READY=1\nSTATUS=ready at{}", where));
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
      const std::string left = What();
      Notify(fmt::format("STOPPING=1\nSTATUS=waiting for {}", left));
      Say(kInfo, fmt::format("stopping: {} to end", left));
      listeners_.Close();
      api_.Drain();
      if (handler_) {
        handler_->listeners.Close();
        handler_->front.Drain();
      }
      deadline_.expires_after(std::chrono::milliseconds(options_.drain_timeout));
      deadline_.async_wait([this](const ErrorCode& cancelled) {
        if (!cancelled) EndNow("the server is stopping");
      });
      AwaitStop();
      AwaitEmpty();
    });
  }

  Metrics::Now Count() const {
    const auto [spares, zygotes] = runs_.SparesAndZygotes();
    Metrics::Now now{.runs_running = runs_.running(),
                     .runs_waiting = runs_.waiting(),
                     .run_places = runs_.places(),
                     .spares = spares,
                     .zygotes = zygotes,
                     .handler = handler_.has_value()};
    if (handler_) {
      now.guests = handler_->pool.guests();
      now.requests_waiting = handler_->pool.waiting();
      now.requests_running = handler_->pool.outstanding() - now.requests_waiting;
      now.request_places = handler_->pool.places();
    }
    return now;
  }

  std::string What() const {
    std::string text = fmt::format("{} runs", runs_.running() + runs_.waiting());
    if (handler_)
      fmt::format_to(std::back_inserter(text), ", {} requests", handler_->pool.outstanding());
    return text;
  }

  // Until every run has ended and every answer is written.
  void AwaitEmpty() {
    bool busy = runs_.running() > 0 || runs_.waiting() > 0 || api_.connections() > 0;
    if (handler_) {
      if (!handler_->busy()) handler_->pool.Retire();
      busy = busy || handler_->busy() || handler_->pool.guests() > 0;
    }
    if (!busy) return StopLoop();
    poll_.expires_after(std::chrono::milliseconds(5));
    poll_.async_wait([this](const ErrorCode& error) {
      if (!error) AwaitEmpty();
    });
  }

  void EndNow(const std::string& why) {
    runs_.KillAll(why);
    if (handler_) handler_->pool.KillAll(why);
    deadline_.expires_after(std::chrono::seconds(3));
    deadline_.async_wait([this](const ErrorCode& error) {
      if (!error) StopLoop();
    });
  }

  void StopLoop() {
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
      Notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                         now.tv_sec * 1'000'000 + now.tv_nsec / 1'000));
      // New code is ready when its first guest is.
      if (!Reload()) Notify("READY=1");
      AwaitReload();
    });
  }

  // True where it is not complete yet.
  bool Reload() {
    if (const Status s = log_.Reopen(); !s)
      Say(kErrorPriority, fmt::format("{}; the old one is kept", s.error().message));
    auto read = reload_();
    if (!read) {
      Say(kErrorPriority, fmt::format("{}; the old policy stays in force", read.error().message));
      return false;
    }
    auto policy = MakePolicy(io_, *read);
    if (const Status s = policy->Open(log_.broker_end()); !s) {
      Say(kErrorPriority, fmt::format("{}; the old policy stays in force", s.error().message));
      return false;
    }
    if (handler_) {
      if (const Status s = LoadHandler(policy); !s) {
        Say(kErrorPriority, fmt::format("{}; the old code and policy stay", s.error().message));
        return false;
      }
    }
    runs_.SetPolicy(std::move(policy));
    Say(kInfo, "the policy was read again");
    return handler_.has_value();
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

  void Fail(const std::string& why, int status = kExitCannotRun) {
    Say(kErrorPriority, why);
    status_ = status;
    io_.stop();
  }

  // What was granted of what was wanted.
  void SayBudget() const {
    const DescriptorBudget& b = budget_;
    std::string line =
        fmt::format("of {} descriptors: {} runs at a time, {} connections at each door", b.granted,
                    b.runs, b.connections);
    if (handler_)
      fmt::format_to(std::back_inserter(line), ", {} to the handler", b.handler_connections);
    Say(kInfo, line);
    if (b.runs < options_.runs)
      Say(kWarning, fmt::format("fewer than --runs={}: raise the hard limit on descriptors (ulimit "
                                "-Hn, LimitNOFILE=)",
                                options_.runs));
  }

  const ServeOptions& options_;
  const DescriptorBudget budget_;
  const std::function<Result<ServeOptions>()> reload_;
  boost::asio::io_context io_{1};
  supervisor::Orphans orphans_{io_};
  supervisor::LogLink log_{io_};
  Metrics metrics_;
  supervisor::Background background_{io_};
  RunService runs_;
  Api api_;
  Listeners listeners_, admin_;  // of the run API; of probes and metrics
  std::optional<HandlerSide> handler_;
  boost::asio::signal_set stop_, hangup_;
  boost::asio::steady_timer watchdog_, deadline_, poll_;
  int status_ = 0;
  bool stopping_ = false, pool_was_ready_ = false;
};

int Refuse(const std::string& why, int status) {
  PrintError("postern: {}\n", why);
  return status;
}

}  // namespace

int Serve(const ServeOptions& options, const std::function<Result<ServeOptions>()>& reload) {
  std::map<std::string, std::string> tokens;
  if (!options.token_file.empty()) {
    auto read = ReadTokens(options.token_file);
    if (!read) return Refuse(read.error().message, kExitBadInput);
    tokens = *std::move(read);
  }
  const ServeOptions& serve = options;
  const bool handler = !serve.handler.empty();
  const auto budget = DescriptorBudget::Share(
      RaiseDescriptorLimit(),
      {.runs = serve.runs,
       .spares = serve.spares,
       .callers = kCallers,
       .handler_guests = handler ? std::max(serve.runs, serve.guests + 1) : 0,
       .connections = kConnections,
       .handler_connections = handler ? kHandlerConnections : 0});
  if (!budget) return Refuse(budget.error().message, kExitCannotRun);
  auto doctor = supervisor::Examine();
  if (!doctor) return Refuse(doctor.error().message, kExitCannotRun);
  const bool cgroup = (*doctor)["memoryCgroup"].contains("version");
  if (const auto missing =
          supervisor::MissingLayer(options.required_layers, (*doctor)["parts"]["worker"], cgroup))
    return Refuse(
        fmt::format(
            "the layer \"{}\" that --require names is not available here; see postern doctor",
            *missing),
        kExitCannotRun);
  Server server(options, *budget, *std::move(doctor), std::move(tokens), reload);
  if (const auto refusal = server.Start()) return Refuse(refusal->message, refusal->exit_status);
  return server.Run();
}

}  // namespace postern::server
