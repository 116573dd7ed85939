#include "server/runs/run_service.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/exit_status.h"
#include "base/format.h"
#include "supervisor/guest_launcher.h"
#include "supervisor/programs.h"

namespace postern::server {
namespace {

using run_api::Outcome;
using supervisor::SparePool;

constexpr size_t kLongOutcome = 256 * 1024;  // bytes: below, it is written in a millisecond or two

// Its caller has most that wait, and others none or few.
const run_api::ApiProblem kDisplaced = {
    429, "too_many_runs", "as many runs wait as may wait, and another caller with fewer came"};

}  // namespace

RunService::RunService(boost::asio::io_context& io, const Options& options,
                       std::shared_ptr<supervisor::PolicyInForce> policy, Metrics& metrics,
                       supervisor::Background& background)
    : io_(io),
      options_(options),
      policy_(std::move(policy)),
      cgroups_(supervisor::MemoryCgroups::Find()),
      queue_(io, options.queue),
      metrics_(metrics),
      background_(background) {}

RunService::~RunService() {
  // Records and runs hold each other until they have ended.
  for (const auto& [id, record] : std::exchange(records_, {})) {
    record->run.reset();
    record->started = nullptr;
    record->ended = nullptr;
    record->out = record->err = nullptr;
    record->network = nullptr;
    if (record->input) record->input->Close();
  }
  // What still runs keeps its pool: the workers end here all the same.
  for (const auto& [caller, pool] : pools_) pool->spares.reset();
}

Status RunService::Warm(const std::string& caller) {
  auto pool = PoolOf(caller);
  return pool ? Status(Ok{}) : Status(pool.error());
}

bool RunService::IsWarm(const std::string& caller) const {
  const auto pool = pools_.find(caller);
  return pool != pools_.end() && pool->second->spares->idle() > 0;
}

std::pair<size_t, size_t> RunService::SparesAndZygotes() const {
  std::pair<size_t, size_t> sum;
  for (const auto& [caller, pool] : pools_) {
    if (!pool || !pool->spares) continue;
    sum.first += pool->spares->idle();
    sum.second += pool->spares->zygotes();
  }
  return sum;
}

// Tenants share no zygote: its children have one address layout.
Result<std::shared_ptr<RunService::Pool>> RunService::PoolOf(const std::string& caller) {
  std::shared_ptr<Pool>& pool = pools_[caller];
  if (!pool) {
    if (pools_.size() > options_.callers) {
      auto oldest = pools_.end();
      for (auto p = pools_.begin(); p != pools_.end(); ++p) {
        if (!p->second || p->second->running > 0) continue;
        if (oldest == pools_.end() || p->second->used < oldest->second->used) oldest = p;
      }
      if (oldest != pools_.end()) pools_.erase(oldest);
    }
    auto made = std::make_shared<Pool>();
    made->spares = std::make_shared<SparePool>(
        io_, SparePool::Options{.program = supervisor::WorkerProgram(policy_->processes),
                                .spares = options_.spares,
                                .guests_per_zygote = options_.guests_per_zygote});
    if (Status s = made->spares->Start(); !s) {
      pools_.erase(caller);
      return s.error();
    }
    pool = std::move(made);
  }
  pool->used = next_;
  return pool;
}

RunService::RecordPtr RunService::Submit(const std::string& caller, AdmittedRun request,
                                         std::vector<supervisor::OpenMount> mounts, bool keep,
                                         const std::function<void(RunRecord&)>& prepare) {
  auto record = std::make_shared<RunRecord>();
  record->id = supervisor::RunName();
  record->caller = caller;
  record->ticket = next_++;
  record->submitted_at = std::chrono::steady_clock::now();
  record->request = std::move(request);
  record->policy = policy_;
  record->request_bytes = supervisor::SizeOf(record->request.order) + record->request.input.size();
  record->mounts = std::move(mounts);
  record->kept = keep;
  if (queue_.running() >= options_.queue.places &&
      !MakeRoomForBytes(caller, record->request_bytes)) {
    metrics_.RunRefused("queue_full");
    return nullptr;
  }
  prepare(*record);
  if (record->request.input_comes)
    record->input = std::make_shared<RunInput>(io_, std::exchange(record->wants_input, nullptr));
  records_[record->id] = record;
  const auto late = [this, record] {
    TurnAway(record, {503, "queue_timeout", "no place came free in time"});
  };
  const auto displaced = [this, record] { TurnAway(record, kDisplaced); };
  if (queue_.Enqueue(caller, record->ticket, {[this, record] { Start(record); }, late, displaced}))
    return record;
  records_.erase(record->id);
  metrics_.RunRefused("queue_full");
  return nullptr;
}

void RunService::TurnAway(const RecordPtr& record, run_api::ApiProblem problem) {
  metrics_.RunRefused(problem.status == 429 ? "queue_full" : "queue_timeout");
  const std::string why = fmt::format("the server is busy: {}", problem.detail);
  record->turned_away = std::move(problem);
  OnEnded(record, Outcome::Refused(why, kExitCannotRun), false);
}

void RunService::Start(const RecordPtr& record) {
  using supervisor::Run;
  record->state = State::kRunning;
  record->started_at = std::chrono::steady_clock::now();
  metrics_.RunStarted(record->started_at - record->submitted_at);
  const auto fail = [&](const std::string& why) {
    // Later: who asked for the run does not have it yet.
    boost::asio::post(
        io_, [this, record, why] { OnEnded(record, Outcome::Refused(why, kExitCannotRun), true); });
  };
  for (const policy::MountSetting& m : record->request.policy.mounts) {
    auto mount = supervisor::OpenDirectory(m.host, m.guest, m.writable);
    if (!mount) return fail(mount.error().message);
    record->mounts.push_back(*std::move(mount));
  }
  auto pool = PoolOf(record->caller);
  if (!pool) return fail(pool.error().message);
  record->files = std::make_unique<supervisor::BrokerLink>(
      io_, supervisor::FilesBrokerProgram(record->policy->processes, record->mounts));
  Run::Job job{.name = record->id,
               .order = std::move(record->request.order),
               .network = std::move(record->request.policy.network),
               .limits = record->request.policy.limits,
               .env = std::move(record->request.policy.env),
               .debug_seccomp = record->policy->processes.debug_seccomp,
               .out = record->out,
               .err = record->err,
               .events = record->network,
               .used = [this](const NetUsage& usage) { metrics_.Fetched(usage); }};
  if (record->input) {
    job.input = [input = record->input](UniqueFd to) { input->Open(std::move(to)); };
  } else if (!record->request.input.empty()) {
    job.input = [this, record](UniqueFd to) {
      const auto input = std::make_shared<RunInput>(io_);
      input->Add(std::move(record->request.input), true, [](bool) {});
      input->Open(std::move(to));
    };
  }
  // Kept by the run, also when another takes its place for this caller.
  const std::shared_ptr<Pool> ours = *pool;
  ++ours->running;
  record->run = supervisor::LaunchGuest(
      {io_, record->policy->net, *record->files, cgroups_, &background_}, std::move(job),
      [this, record](Outcome outcome) { OnEnded(record, std::move(outcome), true); },
      {.spares = ours->spares,
       .keep = ours,
       .spawned =
           [this, record] {
             metrics_.Spawned(std::chrono::steady_clock::now() - record->started_at);
             if (record->started) record->started();
           },
       .gone = [ours] { --ours->running; }});
}

void RunService::OnEnded(const RecordPtr& record, Outcome outcome, bool started) {
  if (record->state == State::kEnded || std::exchange(record->ending, true)) return;
  if (outcome.SizeOfTexts() < kLongOutcome)
    return OnOutcome(record, outcome, started, outcome.ToJson());
  const auto kept = std::make_shared<Outcome>(std::move(outcome));
  const auto json = std::make_shared<std::string>();
  background_.Do(
      [kept, json] {
        *json = kept->ToJson();
        kept->DropTexts();
      },
      [this, record, kept, json, started] { OnOutcome(record, *kept, started, std::move(*json)); });
}

void RunService::OnOutcome(const RecordPtr& record, const Outcome& outcome, bool started,
                           std::string json) {
  record->state = State::kEnded;
  record->outcome = std::make_shared<const std::string>(std::move(json));
  record->ended_at = std::chrono::steady_clock::now();
  if (started) metrics_.RunEnded(outcome, record->ended_at - record->started_at);
  if (log) {
    log(fmt::format("run {} of {} {} status={} wall_ms={} cpu_ms={} requests={} denied={}",
                    record->id, record->caller, outcome.KindText(), outcome.exit_status,
                    outcome.usage.wall_ms, outcome.usage.cpu_ms, outcome.usage.net.requests,
                    outcome.usage.net.denied));
  }
  if (const auto ended = std::exchange(record->ended, nullptr)) ended(*record);
  record->started = nullptr;
  record->out = record->err = nullptr;
  record->network = nullptr;
  if (record->input) record->input->Close();
  record->run.reset();
  if (record->kept) {
    Keep(record);
  } else {
    records_.erase(record->id);
  }
  // Later: this is called by the run, which uses them until it returns.
  boost::asio::post(io_, [this, record, started] {
    record->files.reset();
    // What it came with, where it never began. A string that is assigned to keeps its room.
    (void)std::exchange(record->request, {});
    record->mounts.clear();
    record->policy.reset();
    if (started) queue_.Release();
  });
}

void RunService::Keep(const RecordPtr& record) {
  kept_.push_back(record);
  kept_bytes_ += record->outcome->size();
  Forget();
}

void RunService::Forget() {
  const auto now = std::chrono::steady_clock::now();
  while (!kept_.empty() && (kept_.size() > options_.kept || kept_bytes_ > options_.kept_bytes ||
                            now - kept_.front()->ended_at > options_.kept_for)) {
    kept_bytes_ -= kept_.front()->outcome->size();
    records_.erase(kept_.front()->id);
    kept_.pop_front();
  }
}

RunService::RecordPtr RunService::Find(const std::string& caller, const std::string& id) {
  Forget();
  const auto found = records_.find(id);
  return found == records_.end() || found->second->caller != caller ? nullptr : found->second;
}

std::vector<RunService::RecordPtr> RunService::All(const std::string& caller) {
  Forget();
  std::vector<RecordPtr> all;
  for (const auto& [id, record] : records_) {
    if (record->caller == caller) all.push_back(record);
  }
  return all;
}

std::map<std::string, size_t> RunService::WaitingBytes() const {
  std::map<std::string, size_t> bytes;
  for (const auto& [id, record] : records_) {
    if (record->state == State::kQueued && !record->ending)
      bytes[record->caller] += record->request_bytes;
  }
  return bytes;
}

// As RunQueue shares its places: the newest of the caller with most make room for one who has then
// no more than that caller.
bool RunService::MakeRoomForBytes(const std::string& caller, size_t bytes) {
  for (;;) {
    auto waiting = WaitingBytes();
    size_t all = 0;
    for (const auto& [name, n] : waiting) all += n;
    if (all + bytes <= options_.waiting_bytes) return true;
    const auto heaviest =
        std::max_element(waiting.begin(), waiting.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (heaviest == waiting.end() || heaviest->first == caller) return false;
    RecordPtr newest;
    for (const auto& [id, record] : records_) {
      if (record->state == State::kQueued && !record->ending && record->caller == heaviest->first &&
          (!newest || record->ticket > newest->ticket))
        newest = record;
    }
    if (heaviest->second < waiting[caller] + bytes + newest->request_bytes) return false;
    if (!queue_.Cancel(newest->ticket)) return false;
    TurnAway(newest, kDisplaced);
  }
}

bool RunService::HasRoomForMounts(size_t count) const {
  if (count == 0) return true;
  for (const auto& [id, record] : records_) count += record->mounts.size();
  return count <= options_.mounts;
}

void RunService::Kill(const RecordPtr& record, const std::string& why) {
  if (record->state == State::kEnded) return;
  if (queue_.Cancel(record->ticket)) {
    Outcome outcome;
    outcome.SetError(Outcome::Kind::kKilled, kExitKilled, why);
    return OnEnded(record, std::move(outcome), false);
  }
  if (record->run) record->run->Kill(Outcome::Kind::kKilled, kExitKilled, why);
}

void RunService::KillAll(const std::string& why) {
  const auto records = records_;
  for (const auto& [id, record] : records) Kill(record, why);
}

}  // namespace postern::server
