#include "supervisor/run.h"

#include <limits.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <csignal>

#include "base/eintr.h"
#include "base/exit_status.h"
#include "base/format.h"
#include "base/units.h"
#include "channel/endpoint.h"
#include "channel/result_frame.h"
#include "channel/spare_fds.h"
#include "supervisor/guest_end.h"
#include "supervisor/load_policy.h"
#include "supervisor/read_result.h"

namespace postern::supervisor {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

constexpr int kGuestGoneWithinMs = 5'000;
constexpr size_t kMostSignals = 64;  // that a guest may say it listens for
// Bytes: below, they take less than a millisecond.
constexpr size_t kLongResult = 64 * 1024, kLongOrder = 256 * 1024;
constexpr auto kDrainWithin = std::chrono::milliseconds(1'000);

// Nanoseconds of CPU time that the process `pid` has used, -1 when it is gone.
int64_t CpuTime(pid_t pid) {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return -1;
  return used.tv_sec * 1'000'000'000 + used.tv_nsec;
}

// What the guest has to know of its policy.
void FillIn(channel::GuestOrder& order, const policy::RunLimits& limits,
            const policy::NetworkLimits& l) {
  order.memory = limits.memory;
  order.cpu_ms = limits.cpu;
  order.timer_us = limits.timer_resolution;
  // The broker's deadlines come first and say more; the guest's are for a broker that says nothing.
  order.headers_ms =
      l.resolve_timeout + l.connect_timeout + l.tls_timeout + l.headers_timeout + 2000;
  order.total_ms = l.total_timeout + 2000;
  order.response_bytes = l.response_bytes;
  order.redirects = l.redirects;
  order.concurrent = l.concurrent;
  order.queue = l.queue;
  order.queue_ms = l.queue_timeout;
}

}  // namespace

std::string RunName() {
  uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != sizeof bits) bits = static_cast<uint64_t>(::getpid());
  return fmt::format("{:016x}", bits);
}

size_t SizeOf(const channel::GuestOrder& order) {
  size_t size = order.source.size();
  for (const auto& [path, bytes] : order.files) size += path.size() + bytes.size();
  for (const auto& [name, value] : order.env) size += name.size() + value.size();
  for (const std::string& argument : order.argv) size += argument.size() + 1;
  return size;
}

Run::Run(const RunEnvironment& environment, Job job, std::function<void(run_api::Outcome)> done,
         std::function<void()> will_kill)
    : environment_(environment),
      job_(std::move(job)),
      done_(std::move(done)),
      will_kill_(std::move(will_kill)),
      net_(
          environment.net, BrokerPolicy(job_.network), job_.name,
          [this](const std::string& why, bool bad_input) {
            if (bad_input)
              return FailToRun(fmt::format("{}: {}", job_.network.adapter.target, why),
                               kExitBadInput);
            FailToRun(fmt::format("the network broker cannot run: {}", why));
          },
          job_.events),
      files_(environment.files, "{}", {},
             [this](const std::string& why, bool) {
               FailToRun(fmt::format("the files broker cannot run: {}", why));
             }),
      wall_(environment.io),
      cpu_(environment.io),
      grace_(environment.io) {
  net_.used = [this] { CountUsage(); };
}

void Run::Start(std::vector<UniqueFd> fds, UniqueFd pidfd) {
  if (state_ != State::kReady || killed_) return;
  state_ = State::kRunning;
  if (fds.size() != channel::kSpareFdCount)
    return FailToRun("the worker gave a spare without its pipes");
  pidfd_ = std::move(pidfd);
  pid_ = PidOf(pidfd_.get());
  began_at_ = Clock::now();
  LimitMemory();
  if (!job_.channel) LimitWallClock();
  WatchCpu();
  ReadPipes(fds);
  if (job_.channel) {
    job_.channel(std::move(fds[static_cast<size_t>(channel::NetOut(channel::kHandlerChannel))]),
                 std::move(fds[static_cast<size_t>(channel::NetIn(channel::kHandlerChannel))]));
  }
  const int net_channels = job_.channel ? channel::kHandlerChannel : channel::kNetChannels;
  for (int c = 0; c < net_channels; ++c) {
    AwaitFirstByte(net_, std::move(fds[static_cast<size_t>(channel::NetOut(c))]),
                   std::move(fds[static_cast<size_t>(channel::NetIn(c))]));
  }
  AwaitFirstByte(files_, std::move(fds[channel::kFilesOut]), std::move(fds[channel::kFilesIn]));
  if (job_.network.adapter.kind != policy::AdapterKind::kReplay) {
    return SendOrder(std::move(fds[channel::kOrderFd]));
  }
  // No guest waits for a broker that reads a long recording: it would take it for lost.
  const auto order = std::make_shared<UniqueFd>(std::move(fds[channel::kOrderFd]));
  environment_.net.WhenReady([weak = weak_from_this(), order] {
    const auto self = weak.lock();
    if (self && self->state_ == State::kRunning && !self->killed_)
      self->SendOrder(std::move(*order));
  });
}

// ---- limits

void Run::LimitMemory() {
  Result<std::unique_ptr<MemoryCgroup>> cgroup =
      environment_.cgroups
          ? environment_.cgroups->Confine(pid_, job_.limits.memory + channel::kMemorySlack)
          : Result<std::unique_ptr<MemoryCgroup>>(environment_.cgroups.error());
  nlohmann::json& layers = outcome_.confinement["guest"];
  layers = {{"on", nlohmann::json::array()}, {"missing", nlohmann::json::array()}};
  if (cgroup) {
    cgroup_ = *std::move(cgroup);
    layers["on"] = {fmt::format("memory-cgroup:{}", environment_.cgroups->version())};
  } else {
    layers["missing"] = {fmt::format("memory-cgroup: {}", cgroup.error().message)};
  }
}

void Run::LimitWallClock() {
  wall_.expires_after(std::chrono::milliseconds(job_.limits.wall));
  wall_.async_wait([self = shared_from_this()](const ErrorCode& error) {
    if (error) return;
    self->Kill(run_api::Outcome::Kind::kTimedOut, kExitTimeLimit,
               fmt::format("the run took longer than its limit of {} (--timeout)",
                           DurationText(self->job_.limits.wall)));
  });
}

void Run::WatchCpu() {
  const int64_t limit = job_.limits.cpu;
  int64_t used = CpuTime(pid_) / 1'000'000 - cpu_before_ms_;
  if (std::exchange(renewed_, false)) cpu_before_ms_ += std::exchange(used, 0);
  if (used >= limit) {
    return Kill(run_api::Outcome::Kind::kTimedOut, kExitTimeLimit,
                fmt::format("the run used more than its limit of {} of CPU time (--cpu)",
                            DurationText(limit)));
  }
  // A guest has one thread: it cannot use the rest sooner than this.
  cpu_.expires_after(std::chrono::milliseconds(std::max<int64_t>(limit - used, 1)));
  cpu_.async_wait([self = shared_from_this()](const ErrorCode& error) {
    if (!error && self->state_ != State::kOver && !self->exited_) self->WatchCpu();
  });
}

// ---- pipes

void Run::ReadPipes(std::vector<UniqueFd>& fds) {
  const auto self = shared_from_this();
  const auto count = [self](size_t n) {
    self->output_ += static_cast<int64_t>(n);
    if (self->output_ <= self->job_.limits.output) return true;
    self->Kill(run_api::Outcome::Kind::kKilled, 1,
               fmt::format("the guest printed more than its limit of {} (limits.output)",
                           BytesText(self->job_.limits.output)));
    return false;
  };
  const auto ended = [self] { self->FinishIfComplete(); };
  // What is kept becomes a part of the outcome's JSON, and counts as that.
  const auto read = [&](int fd, Forwarder::Sink& sink, std::string& text, run_api::JsonSize& size) {
    const bool kept = !sink;
    return Forwarder::Start(
        environment_.io, std::move(fds[static_cast<size_t>(fd)]),
        kept ? Forwarder::ToText(text, static_cast<size_t>(job_.limits.output)) : std::move(sink),
        [count, kept, &size](std::string_view piece) {
          return count(kept ? size.Add(piece) : piece.size());
        },
        ended);
  };
  out_ = read(channel::kStdout, job_.out, outcome_.out, out_size_);
  err_ = read(channel::kStderr, job_.err, outcome_.err, err_size_);
  const auto keep = [self](std::string_view piece, const std::function<void(bool)>& next) {
    Append(self->result_, piece, channel::kMaxResultBytes);
    self->HearGuest();
    next(true);
  };
  result_pipe_ = Forwarder::Start(
      environment_.io, std::move(fds[channel::kResultFd]), keep,
      [self](std::string_view) { return self->result_.size() <= channel::kMaxResultBytes; }, ended);
  if (job_.input) stdin_ = std::move(fds[channel::kStdin]);
}

// What the guest says before its result: it is none of that.
void Run::HearGuest() {
  while (const auto head = channel::ReadResultHead(result_)) {
    const auto tag = static_cast<channel::ResultTag>(head->tag);
    const bool reads = tag == channel::ResultTag::kReadsStdin && head->size == 0;
    const bool hears = tag == channel::ResultTag::kHearsSignal && head->size == 1;
    const size_t frame = channel::kResultHead + head->size;
    if ((!reads && !hears) || result_.size() < frame) return;
    if (reads) AttachStdin();
    if (hears && heard_.size() < kMostSignals) heard_ += result_[channel::kResultHead];
    result_.erase(0, frame);
  }
}

// Nothing is taken from whoever gives it before the guest wants some.
void Run::AttachStdin() {
  if (!stdin_.valid()) return;
  channel::GrowPipe(stdin_.get(), channel::kActivePipeBytes);
  job_.input(std::move(stdin_));
}

// A channel goes to its broker when the guest first writes on it: a broker nobody talks to never
// starts.
void Run::AwaitFirstByte(BrokerBinding& broker, UniqueFd from_guest, UniqueFd to_guest) {
  watched_.push_back(std::make_shared<Descriptor>(environment_.io, from_guest.release()));
  AwaitFirstByte(broker, watched_.back(), std::make_shared<UniqueFd>(std::move(to_guest)));
}

void Run::AwaitFirstByte(BrokerBinding& broker, const std::shared_ptr<Descriptor>& pipe,
                         const std::shared_ptr<UniqueFd>& out) {
  pipe->async_wait(Descriptor::wait_read,
                   [self = shared_from_this(), &broker, pipe, out](const ErrorCode& error) {
                     if (error || self->state_ == State::kOver) return;
                     pollfd p{pipe->native_handle(), POLLIN, 0};
                     // Woken for nothing: Asio may have that of another descriptor that is closed.
                     if (Uninterrupted([&] { return ::poll(&p, 1, 0); }) == 0)
                       return self->AwaitFirstByte(broker, pipe, out);
                     if ((p.revents & POLLIN) == 0) return;
                     if (Status s = broker.Bind(UniqueFd(pipe->release()), std::move(*out)); !s)
                       self->FailToRun(s.error().message);
                   });
}

void Run::SendOrder(UniqueFd fd) {
  FillIn(job_.order, job_.limits, job_.network.limits);
  job_.order.handler = job_.channel != nullptr;
  if (job_.order.handler) job_.order.cpu_ms = 0;
  job_.order.env = std::move(job_.env);
  order_pipe_ = std::make_shared<Descriptor>(environment_.io, fd.release());
  watched_.push_back(order_pipe_);
  const auto bytes = std::make_shared<std::string>();
  const auto send = [pipe = order_pipe_, bytes] {
    const size_t room = std::min<size_t>(bytes->size(), channel::kActivePipeBytes);
    if (room > PIPE_BUF) channel::GrowPipe(pipe->native_handle(), static_cast<int>(room));
    // A guest that died is reported by the zygote.
    asio::async_write(*pipe, asio::buffer(*bytes), [pipe, bytes](const ErrorCode&, size_t) {});
  };
  const bool is_long = environment_.background != nullptr && SizeOf(job_.order) >= kLongOrder;
  auto order = std::make_shared<channel::GuestOrder>(std::exchange(job_.order, {}));
  std::function<void()> encode = [order = std::move(order), bytes] { *bytes = order->Encode(); };
  if (is_long) return environment_.background->Do(std::move(encode), send);
  encode();
  send();
}

// ---- the end

void Run::OnExit(const ProcessExit& end) {
  exited_ = true;
  wait_status_ = end.wait_status;
  outcome_.usage.wall_ms = MillisecondsSinceBegin();
  outcome_.usage.peak_memory_bytes = end.peak_kib * 1024;
  outcome_.usage.cpu_ms = end.cpu_us / 1000;
  FinishIfComplete();
}

void Run::FinishIfComplete() {
  if (state_ != State::kRunning || !out_ || !out_->over() || !err_->over()) return;
  if (killed_) return CollectUsage();
  if (exited_ && result_pipe_->over()) ReadResultAndComplete();
}

// A large result takes as long to check as a guest wishes.
void Run::ReadResultAndComplete() {
  if (environment_.background == nullptr || result_.size() < kLongResult) {
    ClassifyResult(ReadResult(result_, outcome_));
    return CollectUsage();
  }
  state_ = State::kReading;
  struct Read {
    run_api::Outcome outcome;
    Result<bool> complete = false;
  };
  const auto read = std::make_shared<Read>();
  environment_.background->Do(
      [read, bytes = std::move(result_)] { read->complete = ReadResult(bytes, read->outcome); },
      [self = shared_from_this(), read] {
        if (self->state_ != State::kReading) return;
        if (!self->killed_) {
          self->outcome_.SetResult(std::move(read->outcome));
          self->ClassifyResult(read->complete);
        }
        self->CollectUsage();
      });
}

// What the result pipe and the wait status together say.
void Run::ClassifyResult(const Result<bool>& complete) {
  GuestEnd end{.wait_status = wait_status_,
               .debug_seccomp = job_.debug_seccomp,
               .killed_in_cgroup = WIFSIGNALED(wait_status_) && cgroup_ && cgroup_->KilledInside(),
               .memory = job_.limits.memory,
               .cgroup_memory = job_.limits.memory + channel::kMemorySlack};
  if (!complete) end.no_result = complete.error().message;
  if (complete && !*complete) end.no_result = "the guest ended without a result";
  ClassifyEnd(end, outcome_);
}

void Run::Interrupt(int signal) {
  const char number = static_cast<char>(signal);
  const int64_t grace = job_.limits.grace;
  const std::string word = signal == SIGINT ? "interrupted" : "terminated";
  const bool told =
      !interrupted_ && state_ != State::kOver && !killed_ && grace > 0 &&
      heard_.find(number) != std::string::npos &&
      Uninterrupted([&] { return ::write(order_pipe_->native_handle(), &number, 1); }) == 1;
  if (!told) return Kill(run_api::Outcome::Kind::kKilled, 128 + signal, word);
  interrupted_ = true;
  grace_.expires_after(std::chrono::milliseconds(grace));
  grace_.async_wait([self = shared_from_this(), signal, word, grace](const ErrorCode& error) {
    if (error) return;
    self->Kill(run_api::Outcome::Kind::kKilled, 128 + signal,
               fmt::format("{}, and did not end within {} (--grace)", word, DurationText(grace)));
  });
}

void Run::Kill(run_api::Outcome::Kind kind, int status, const std::string& why) {
  if (state_ == State::kOver || std::exchange(killed_, true)) return;
  outcome_.SetError(kind, status, why);
  outcome_.usage.wall_ms = MillisecondsSinceBegin();
  if (pid_ > 0) outcome_.usage.cpu_ms = std::max<int64_t>(CpuTime(pid_), 0) / 1'000'000;
  if (pidfd_.valid()) {
    if (will_kill_) will_kill_();
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  }
  // Its end closes its pipes; a reader of ours that is stopped does not hold this up for long.
  wall_.expires_after(out_ ? kDrainWithin : std::chrono::milliseconds(0));
  wall_.async_wait([self = shared_from_this()](const ErrorCode& error) {
    if (!error) self->CollectUsage();
  });
  FinishIfComplete();
}

void Run::ResetLimits() {
  renewed_ = true;
  output_ = 0;
}

void Run::FailToRun(const std::string& why, int status) {
  if (state_ == State::kOver) return;
  outcome_.SetError(run_api::Outcome::Kind::kRefused, status, why);
  if (pidfd_.valid() && !exited_) {
    if (will_kill_) will_kill_();
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  }
  Complete();
}

void Run::CountUsage() {
  outcome_.usage.net = net_.usage();
  const NetUsage before = std::exchange(counted_, outcome_.usage.net);
  if (job_.used) job_.used(counted_.Since(before));
}

void Run::CollectUsage() {
  if (state_ >= State::kCollecting) return;
  state_ = State::kCollecting;
  net_.Close([self = shared_from_this()] {
    self->CountUsage();
    const std::pair<const char*, const BrokerLink&> brokers[] = {
        {"broker-net", self->environment_.net}, {"broker-files", self->environment_.files}};
    for (const auto& [name, link] : brokers) {
      if (!link.layers().is_null()) self->outcome_.confinement[name] = link.layers();
    }
    self->Complete();
  });
}

void Run::Complete() {
  if (std::exchange(state_, State::kOver) == State::kOver) return;
  stdin_.reset();
  wall_.cancel();
  cpu_.cancel();
  grace_.cancel();
  for (const auto& pipe : std::exchange(watched_, {})) {
    ErrorCode ignored;
    pipe->close(ignored);
  }
  for (const auto& forwarder : {out_, err_, result_pipe_}) {
    if (forwarder) forwarder->Stop();
  }
  asio::post(environment_.io, [self = shared_from_this()] {
    self->out_ = self->err_ = self->result_pipe_ = nullptr;  // they hold this
    self->done_(std::move(self->outcome_));
  });
}

int64_t Run::MillisecondsSinceBegin() const {
  if (began_at_ == Clock::time_point{}) return 0;
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began_at_).count();
}

void Run::AwaitProcess() const {
  pollfd gone{pidfd_.get(), POLLIN, 0};
  if (pidfd_.valid()) Uninterrupted([&] { return ::poll(&gone, 1, kGuestGoneWithinMs); });
}

}  // namespace postern::supervisor
