#include "supervisor/run.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <filesystem>

#include "base/eintr.h"
#include "channel/endpoint.h"
#include "channel/result_frame.h"
#include "supervisor/broker_link.h"
#include "supervisor/child.h"
#include "supervisor/entry.h"
#include "supervisor/forwarder.h"
#include "supervisor/log_link.h"
#include "supervisor/programs.h"
#include "worker/order.h"
#include "worker/spare_fds.h"

namespace postern::supervisor {
namespace {

namespace asio = boost::asio;
using channel::ControlMessage;
using channel::ControlType;
using Clock = std::chrono::steady_clock;
using Descriptor = asio::posix::stream_descriptor;

constexpr int kExitTimeout = 124, kExitCannotRun = 125, kExitForbiddenCall = 159;
constexpr int kGuestGoneWithinMs = 5'000;
constexpr auto kDrainWithin = std::chrono::milliseconds(1'000);
constexpr auto kWorkerReadyWithin = std::chrono::seconds(20);

// A name for the run in logs: 64 random bits.
std::string RunName() {
  uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != sizeof bits) bits = static_cast<uint64_t>(::getpid());
  char text[20];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(bits));
  return text;
}

// Nanoseconds of CPU time that the process `pid` has used, -1 when it is gone.
int64_t CpuTime(pid_t pid) {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return -1;
  return used.tv_sec * 1'000'000'000 + used.tv_nsec;
}

class Run {
 public:
  Run(const Settings& settings, Entry entry)
      : settings_(settings),
        entry_(std::move(entry)),
        log_(io_),
        net_(io_, NetBrokerProgram(settings), policy::ToJson(settings.policy.network), RunName()),
        files_(io_, FilesBrokerProgram(settings, entry_.mounts), "{}", {}),
        wall_(io_),
        cpu_(io_),
        signals_(io_, SIGINT, SIGTERM),
        rotation_(io_) {}

  Outcome Go() {
    net_.failed = [this](const std::string& why, bool bad_input) {
      if (bad_input)
        return CannotRun(settings_.policy.network.adapter.target + ": " + why, kBadInput);
      CannotRun("the network broker cannot run: " + why);
    };
    files_.failed = [this](const std::string& why, bool) {
      CannotRun("the files broker cannot run: " + why);
    };
    log_.failed = [this](const std::string& why) {
      CannotRun("the log process cannot run: " + why);
    };
    if (Status s = OpenFiles(); !s) {
      CannotRun(s.error().message, kBadInput);
      return std::move(outcome_);
    }
    if (over_) return std::move(outcome_);
    auto worker = Child::Start(
        io_, WorkerProgram(settings_),
        {[this](ControlMessage m) { OnWorker(std::move(m)); }, [this] { OnWorkerGone(); }});
    if (!worker) {
      CannotRun(worker.error().message);
      return std::move(outcome_);
    }
    worker_ = *std::move(worker);
    // Sent ahead: the zygote reads it when it is ready.
    if (Status s = worker_->Send({.type = ControlType::kFork, .id = 1, .a = 1}); !s)
      CannotRun(s.error().message);
    const policy::Policy& network = settings_.policy.network;
    if (network.permission && network.adapter.kind != policy::AdapterKind::kNone) {
      if (Status s = net_.Start(); !s) CannotRun(s.error().message);
    }
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (!error)
        End(Outcome::Kind::kKilled, 128 + signal, signal == SIGINT ? "interrupted" : "terminated");
    });
    wall_.expires_after(kWorkerReadyWithin);
    wall_.async_wait([this](const boost::system::error_code& error) {
      if (!error && !started_) CannotRun("the worker does not start");
    });
    if (!over_) io_.run();
    AwaitGuest();
    return std::move(outcome_);
  }

 private:
  // What the run writes to and replays from.
  Status OpenFiles() {
    if (Status s = log_.Start(settings_); !s) return s;
    if (log_.broker_end() >= 0) net_.Give("--events=", log_.broker_end());
    const policy::Adapter& adapter = settings_.policy.network.adapter;
    if (adapter.kind == policy::AdapterKind::kReplay) {
      recording_ = UniqueFd(::open(adapter.target.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
      if (!recording_.valid()) return SystemError("cannot read the recording " + adapter.target);
      net_.Give("--replay=", recording_.get());
    }
    if (settings_.policy.audit_file) AwaitRotation();
    return Ok{};
  }

  // SIGHUP: the audit log was moved away, and is opened by its name again.
  void AwaitRotation() {
    boost::system::error_code ignored;  // there is no handler yet that this could fail for
    rotation_.add(SIGHUP, ignored);
    rotation_.async_wait([this](const boost::system::error_code& error, int) {
      if (error) return;
      if (const Status s = log_.Reopen(); !s) {
        std::fprintf(stderr, "postern: %s; the old one is kept\n", s.error().message.c_str());
      }
      AwaitRotation();
    });
  }

  void OnWorker(ControlMessage m) {
    switch (m.type) {
      case ControlType::kReady:
        outcome_.confinement["worker"] = nlohmann::json::parse(m.payload, nullptr, false);
        return RequireLayers();
      case ControlType::kSpare:
        return Activate(std::move(m.fds));
      case ControlType::kExited:
        return OnExit(m);
      case ControlType::kFailed:
        return CannotRun("the worker cannot start: " + m.payload);
      default:
        return;
    }
  }

  // Where there is no pid namespace, nobody else waits for the guest's end.
  void AwaitGuest() {
    worker_.reset();
    pollfd gone{pidfd_.get(), POLLIN, 0};
    if (pidfd_.valid()) Uninterrupted([&] { return ::poll(&gone, 1, kGuestGoneWithinMs); });
  }

  void OnWorkerGone() {
    if (!exited_) CannotRun("the worker ended unexpectedly");
  }

  void RequireLayers() {
    const auto& on = outcome_.confinement["worker"]["on"];
    for (const std::string& layer : settings_.required_layers) {
      const bool has = std::any_of(on.begin(), on.end(), [&](const std::string& l) {
        return l == layer || l.starts_with(layer + ":");
      });
      if (!has)
        return CannotRun("the layer \"" + layer +
                         "\" that --require names is not available here; see postern doctor");
    }
  }

  // The spare becomes the guest: limits are armed, pipes are watched, the order goes out.
  void Activate(std::vector<UniqueFd> fds) {
    if (over_) return;
    if (fds.size() != worker::kSpareFdCount + 1)
      return CannotRun("the worker gave a spare without its pipes");
    pidfd_ = std::move(fds.back());
    pid_ = PidOf(pidfd_.get());
    started_ = true;
    started_at_ = Clock::now();
    const policy::RunLimits& limits = settings_.policy.limits;
    wall_.expires_after(std::chrono::milliseconds(limits.wall));
    wall_.async_wait([this](const boost::system::error_code& error) {
      if (!error)
        End(Outcome::Kind::kTimedOut, kExitTimeout,
            "the run took longer than its limit of " +
                std::to_string(settings_.policy.limits.wall) + " ms (--timeout)");
    });
    WatchCpu();
    const auto count = [this](size_t n) {
      output_ += static_cast<int64_t>(n);
      if (output_ <= settings_.policy.limits.output) return true;
      End(Outcome::Kind::kKilled, 1,
          "the guest printed more than its limit of " +
              std::to_string(settings_.policy.limits.output) + " bytes (limits.output)");
      return false;
    };
    const auto ended = [this] { FinishIfComplete(); };
    const auto sink = [&](int fd, std::string& text) {
      return settings_.json ? Forwarder::Sink{.text = &text} : Forwarder::Sink{.fd = fd};
    };
    out_ = std::make_unique<Forwarder>(io_, std::move(fds[worker::kStdout]), sink(1, outcome_.out),
                                       count, ended);
    err_ = std::make_unique<Forwarder>(io_, std::move(fds[worker::kStderr]), sink(2, outcome_.err),
                                       count, ended);
    const auto result_count = [this](size_t) { return result_.size() <= channel::kMaxResultBytes; };
    result_pipe_ =
        std::make_unique<Forwarder>(io_, std::move(fds[worker::kResultFd]),
                                    Forwarder::Sink{.text = &result_}, result_count, ended);
    for (int c = 0; c < worker::kNetChannels; ++c) {
      AwaitFirstByte(net_, std::move(fds[static_cast<size_t>(worker::NetOut(c))]),
                     std::move(fds[static_cast<size_t>(worker::NetIn(c))]));
    }
    AwaitFirstByte(files_, std::move(fds[worker::kFilesOut]), std::move(fds[worker::kFilesIn]));
    SendOrder(std::move(fds[worker::kOrderFd]));
  }

  // A channel goes to its broker when the guest first writes on it: a broker nobody talks to never
  // starts.
  void AwaitFirstByte(BrokerLink& link, UniqueFd from_guest, UniqueFd to_guest) {
    auto pipe = std::make_shared<Descriptor>(io_, from_guest.release());
    auto out = std::make_shared<UniqueFd>(std::move(to_guest));
    pipe->async_wait(Descriptor::wait_read,
                     [this, &link, pipe, out](const boost::system::error_code& error) {
                       pollfd p{pipe->native_handle(), POLLIN, 0};
                       if (error || over_ || Uninterrupted([&] { return ::poll(&p, 1, 0); }) != 1 ||
                           (p.revents & POLLIN) == 0)
                         return;
                       if (Status s = link.Bind(UniqueFd(pipe->release()), std::move(*out)); !s)
                         CannotRun(s.error().message);
                     });
    watched_.push_back(std::move(pipe));
  }

  void SendOrder(UniqueFd fd) {
    const policy::Limits& l = settings_.policy.network.limits;
    worker::Order& order = entry_.order;
    order.memory = settings_.policy.limits.memory;
    order.cpu_ms = settings_.policy.limits.cpu;
    order.timer_us = settings_.policy.limits.timer_resolution;
    // The broker's deadlines come first and say more; the guest's are for a broker that says
    // nothing.
    order.headers_ms =
        l.resolve_timeout + l.connect_timeout + l.tls_timeout + l.headers_timeout + 2000;
    order.total_ms = l.total_timeout + 2000;
    order.response_bytes = l.response_bytes;
    order.redirects = l.redirects;
    order.concurrent = l.concurrent;
    order.queue = l.queue;
    order.queue_ms = l.queue_timeout;
    order.env = settings_.policy.env;
    channel::GrowPipe(fd.get(), channel::kActivePipeBytes);
    auto pipe = std::make_shared<Descriptor>(io_, fd.release());
    auto bytes = std::make_shared<std::string>(order.Encode());
    order.source = {};
    asio::async_write(
        *pipe, asio::buffer(*bytes), [pipe, bytes](const boost::system::error_code&, size_t) {
          boost::system::error_code ignored;
          pipe->close(
              ignored);  // its end is the order's end; a guest that died is reported by the zygote
        });
  }

  void WatchCpu() {
    const int64_t limit = settings_.policy.limits.cpu;
    const int64_t used = CpuTime(pid_) / 1'000'000;
    if (used >= limit) {
      return End(Outcome::Kind::kTimedOut, kExitTimeout,
                 "the run used more than its limit of " + std::to_string(limit) +
                     " ms of CPU time (--cpu)");
    }
    // A guest has one thread: it cannot use the rest sooner than this.
    cpu_.expires_after(std::chrono::milliseconds(std::max<int64_t>(limit - used, 1)));
    cpu_.async_wait([this](const boost::system::error_code& error) {
      if (!error && !over_ && !exited_) WatchCpu();
    });
  }

  void OnExit(const ControlMessage& m) {
    exited_ = true;
    wait_status_ = static_cast<int>(m.a);
    outcome_.usage.wall_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started_at_).count();
    outcome_.usage.peak_memory_bytes = m.b * 1024;
    outcome_.usage.cpu_ms = std::atoll(m.payload.c_str()) / 1000;
    FinishIfComplete();
  }

  void FinishIfComplete() {
    if (over_ || leaving_ || !out_ || !out_->over() || !err_->over()) return;
    if (!ending_) {
      if (!exited_ || !result_pipe_->over()) return;
      Judge();
    }
    Leave();
  }

  // What the result pipe and the wait status together say.
  void Judge() {
    const auto complete = ReadResult(result_, outcome_);
    if (WIFSIGNALED(wait_status_)) {
      const int signal = WTERMSIG(wait_status_);
      if (signal == SIGSYS)
        return Set(Outcome::Kind::kKilled, kExitForbiddenCall,
                   "the guest made a forbidden system call; --debug-seccomp names it");
      if (signal == SIGXCPU)
        return Set(Outcome::Kind::kTimedOut, kExitTimeout,
                   "the run used more than its limit of CPU time (--cpu)");
      return Set(Outcome::Kind::kKilled, 128 + signal,
                 "the guest was killed by signal " + std::to_string(signal));
    }
    if (WEXITSTATUS(wait_status_) == kExitForbiddenCall && settings_.debug_seccomp)
      return Set(Outcome::Kind::kKilled, kExitForbiddenCall,
                 "the guest made a forbidden system call");
    if (!complete || !*complete)
      return Set(Outcome::Kind::kFailed, kExitCannotRun,
                 complete ? "the guest ended without a result" : complete.error().message);
    if (outcome_.kind == Outcome::Kind::kOutOfMemory) {
      Set(Outcome::Kind::kOutOfMemory, outcome_.exit_status,
          "the guest ran out of its " + std::to_string(settings_.policy.limits.memory) +
              " bytes of memory (--memory)");
    }
  }

  void Set(Outcome::Kind kind, int status, const std::string& notice) {
    outcome_.kind = kind;
    outcome_.exit_status = status;
    outcome_.notice = notice;
    outcome_.has_error = true;
    outcome_.error_name = "PosternError";
    outcome_.error_message = notice;
  }

  // A limit or a signal: the guest is killed; what it printed until now still arrives.
  void End(Outcome::Kind kind, int status, const std::string& why) {
    if (over_ || ending_) return;
    ending_ = true;
    Set(kind, status, why);
    outcome_.usage.wall_ms =
        started_ ? std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started_at_)
                       .count()
                 : 0;
    if (pid_ > 0) outcome_.usage.cpu_ms = std::max<int64_t>(CpuTime(pid_), 0) / 1'000'000;
    if (pidfd_.valid()) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
    // Its end closes its pipes; a reader of ours that is stopped does not hold this up for long.
    wall_.expires_after(out_ ? kDrainWithin : std::chrono::milliseconds(0));
    wall_.async_wait([this](const boost::system::error_code& error) {
      if (!error) Leave();
    });
    FinishIfComplete();
  }

  void CannotRun(const std::string& why, int status = kExitCannotRun) {
    if (over_) return;
    Set(Outcome::Kind::kRefused, status, why);
    over_ = true;
    io_.stop();
  }

  void Leave() {
    if (std::exchange(leaving_, true)) return;
    net_.Finish([this] {
      for (const nlohmann::json& u : net_.usages()) {
        if (!u.is_object()) continue;
        outcome_.usage.requests += u.value("requests", uint64_t{0});
        outcome_.usage.denied += u.value("denied", uint64_t{0});
        outcome_.usage.bytes_in += u.value("bytesIn", uint64_t{0});
        outcome_.usage.bytes_out += u.value("bytesOut", uint64_t{0});
      }
      if (!net_.layers().is_null()) outcome_.confinement["broker-net"] = net_.layers();
      if (!files_.layers().is_null()) outcome_.confinement["broker-files"] = files_.layers();
      net_.Stop();
      log_.Finish([this] {
        if (!log_.layers().is_null()) outcome_.confinement["log"] = log_.layers();
        outcome_.report = log_.report();
        outcome_.log_trouble = log_.trouble();
        over_ = true;
        io_.stop();
      });
    });
  }

  const Settings& settings_;
  Entry entry_;
  asio::io_context io_{1};
  Outcome outcome_;
  std::unique_ptr<Child> worker_;
  UniqueFd recording_;
  LogLink log_;
  BrokerLink net_, files_;
  asio::steady_timer wall_, cpu_;
  asio::signal_set signals_, rotation_;
  UniqueFd pidfd_;
  pid_t pid_ = 0;
  std::unique_ptr<Forwarder> out_, err_, result_pipe_;
  std::vector<std::shared_ptr<Descriptor>> watched_;
  std::string result_;
  int64_t output_ = 0;
  int wait_status_ = 0;
  Clock::time_point started_at_{};
  bool started_ = false, exited_ = false, ending_ = false, leaving_ = false, over_ = false;
};

}  // namespace

Outcome RunGuest(const Settings& settings) {
  auto entry = ReadEntry(settings);
  if (!entry) {
    Outcome refused;
    refused.kind = Outcome::Kind::kRefused;
    refused.exit_status = 3;
    refused.has_error = true;
    refused.error_name = "PosternError";
    refused.error_message = refused.notice = entry.error().message;
    return refused;
  }
  return Run(settings, *std::move(entry)).Go();
}

}  // namespace postern::supervisor
