#include "cli/commands/run.h"

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

#include "base/by_type.h"
#include "base/format.h"
#include "cli/print.h"
#include "supervisor/feeder.h"
#include "supervisor/log_link.h"
#include "supervisor/orphans.h"
#include "supervisor/process_layers.h"
#include "supervisor/program_source.h"
#include "supervisor/programs.h"
#include "supervisor/run.h"

namespace postern::cli {
namespace {

namespace asio = boost::asio;

constexpr auto kWorkerReadyWithin = std::chrono::seconds(20);

class RunCommand {
 public:
  RunCommand(const Settings& settings, supervisor::ProgramSource entry)
      : settings_(settings),
        mounts_(std::move(entry.mounts)),
        net_(io_, supervisor::NetBrokerProgram(settings.Processes(), settings.policy,
                                               settings.record_file.has_value())),
        files_(io_, supervisor::FilesBrokerProgram(settings.Processes(), mounts_)),
        log_(io_),
        signals_(io_, SIGINT, SIGTERM),
        rotation_(io_),
        patience_(io_),
        cgroups_(supervisor::MemoryCgroups::Find()) {
    const policy::PolicyFile& p = settings.policy;
    supervisor::Run::Job job{.name = supervisor::RunName(),
                             .order = std::move(entry.order),
                             .network = p.network,
                             .limits = p.limits,
                             .env = p.env,
                             .debug_seccomp = settings.debug_seccomp};
    if (!settings.json) {
      job.out = ToDescriptor(STDOUT_FILENO, "standard output");
      job.err = ToDescriptor(STDERR_FILENO, "standard error");
    }
    // What a program is read from is at its end.
    if (settings.target != "-")
      job.input = [this](UniqueFd to) {
        supervisor::Feeder::Start(io_, STDIN_FILENO, std::move(to));
      };
    run_ = std::make_shared<supervisor::Run>(
        supervisor::Run::RunEnvironment{io_, net_, files_, cgroups_}, std::move(job),
        [this](run_api::Outcome outcome) { OnDone(std::move(outcome)); });
  }

  run_api::Outcome Execute() {
    log_.failed = [this](const std::string& why) {
      run_->FailToRun(fmt::format("the log process cannot run: {}", why));
    };
    if (Status s = OpenFiles(); !s) {
      run_->FailToRun(s.error().message, kExitBadInput);
    } else if (Status started = Start(); !started) {
      run_->FailToRun(started.error().message);
    }
    AwaitSignal();
    io_.run();
    worker_.reset();
    run_->AwaitProcess();
    return std::move(outcome_);
  }

 private:
  void AwaitSignal() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      run_->Interrupt(signal);
      AwaitSignal();
    });
  }

  // A guest whose output goes nowhere has nothing more to do.
  supervisor::Forwarder::Sink ToDescriptor(int fd, const char* what) {
    return supervisor::Forwarder::ToDescriptor(io_, fd, [this, what](int error) {
      const Unwritten unwritten(what, error);
      run_->Kill(run_api::Outcome::Kind::kKilled, unwritten.exit_status, unwritten.message);
    });
  }

  // What the run writes to and replays from.
  Status OpenFiles() {
    if (Status s =
            log_.Start(settings_.Log(), settings_.policy, settings_.Processes(), settings_.target);
        !s)
      return s;
    if (log_.broker_end() >= 0) net_.InheritDescriptor("--events=", log_.broker_end());
    auto recording = supervisor::OpenRecording(settings_.policy.network.adapter);
    if (!recording) return recording.error();
    recording_ = *std::move(recording);
    net_.InheritRecording(recording_);
    if (settings_.policy.audit_file) AwaitRotation();
    return Ok{};
  }

  Status Start() {
    auto worker = supervisor::ChildProcess::Start(
        io_, supervisor::WorkerProgram(settings_.Processes()),
        {[this](channel::ReceivedControl m) { OnWorker(std::move(m)); },
         [this] { OnWorkerGone(); }});
    if (!worker) return worker.error();
    worker_ = *std::move(worker);
    // Sent ahead: the zygote reads it when it is ready.
    if (Status s = worker_->Send(channel::ForkSpare{.spare = 1, .only = true}); !s) return s;
    patience_.expires_after(kWorkerReadyWithin);
    patience_.async_wait([this](const boost::system::error_code& error) {
      if (!error && !began_) run_->FailToRun("the worker does not start");
    });
    const policy::Policy& network = settings_.policy.network;
    if (network.permission && network.adapter.kind != policy::AdapterKind::kNone)
      return net_.Start();
    return Ok{};
  }

  // SIGHUP: the audit log was moved away, and is opened by its name again.
  void AwaitRotation() {
    boost::system::error_code ignored;  // there is no handler yet that this could fail for
    rotation_.add(SIGHUP, ignored);
    rotation_.async_wait([this](const boost::system::error_code& error, int) {
      if (error) return;
      if (const Status s = log_.Reopen(); !s) {
        Say(fmt::format("{}; the old one is kept", s.error().message));
      }
      AwaitRotation();
    });
  }

  void OnWorker(channel::ReceivedControl received) {
    std::visit(ByType{
                   [&](const channel::Ready& ready) {
                     layers_ = supervisor::LayersJson(ready);
                     RequireLayers();
                   },
                   [&](const channel::StartFailed& failed) { OnWorkerFailed(failed.reason); },
                   [&](const channel::SpareMade&) { StartRun(std::move(received.fds)); },
                   [&](const channel::SpareFailed& failed) { OnWorkerFailed(failed.reason); },
                   [&](const channel::SpareExited& exited) {
                     exited_ = true;
                     run_->OnExit(exited.exit);
                   },
                   [](const auto&) {},
               },
               received.message);
  }

  void StartRun(std::vector<UniqueFd> fds) {
    began_ = true;
    patience_.cancel();
    UniqueFd pidfd = fds.empty() ? UniqueFd() : std::move(fds.back());
    if (!fds.empty()) fds.pop_back();
    run_->Start(std::move(fds), std::move(pidfd));
  }

  void OnWorkerFailed(const std::string& why) {
    run_->FailToRun(fmt::format("the worker cannot start: {}", why));
  }

  void OnWorkerGone() {
    if (!exited_) run_->FailToRun("the worker ended unexpectedly");
  }

  void RequireLayers() {
    if (const auto missing =
            supervisor::MissingLayer(settings_.required_layers, layers_, cgroups_.ok()))
      run_->FailToRun(fmt::format(
          "the layer \"{}\" that --require names is not available here; see postern doctor",
          *missing));
  }

  void OnDone(run_api::Outcome outcome) {
    outcome_ = std::move(outcome);
    if (!layers_.is_null()) outcome_.confinement["worker"] = layers_;
    net_.Stop();
    if (outcome_.kind == run_api::Outcome::Kind::kRefused) return io_.stop();
    log_.Finish([this] {
      if (!log_.layers().is_null()) outcome_.confinement["log"] = log_.layers();
      outcome_.report = log_.report();
      outcome_.log_trouble = log_.trouble();
      io_.stop();
    });
  }

  const Settings& settings_;
  const std::vector<supervisor::OpenMount> mounts_;
  asio::io_context io_{1};
  supervisor::Orphans orphans_{io_};
  supervisor::BrokerLink net_, files_;
  supervisor::LogLink log_;
  asio::signal_set signals_, rotation_;
  asio::steady_timer patience_;
  supervisor::Recording recording_;
  const Result<supervisor::MemoryCgroups> cgroups_;
  std::unique_ptr<supervisor::ChildProcess> worker_;
  nlohmann::json layers_;  // the worker's
  run_api::Outcome outcome_;
  std::shared_ptr<supervisor::Run> run_;
  bool began_ = false, exited_ = false;
};

}  // namespace

run_api::Outcome RunGuest(const Settings& settings) {
  auto entry = supervisor::ReadProgramSource(settings.Program(), settings.policy.mounts);
  if (!entry) return run_api::Outcome::Refused(entry.error().message, kExitBadInput);
  for (const std::string& note : entry->notes) Say(note);
  return RunCommand(settings, *std::move(entry)).Execute();
}

}  // namespace postern::cli
