#include "server/handler/handler_pool.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/exit_status.h"
#include "base/format.h"
#include "supervisor/guest_launcher.h"
#include "supervisor/programs.h"

namespace postern::server {
namespace {

using run_api::Outcome;
using supervisor::Run;
using supervisor::SparePool;

constexpr size_t kMaxLine = 8 * 1024;  // bytes of one line that a guest prints
constexpr auto kLogEvery = std::chrono::seconds(1);
constexpr auto kFirstPause = std::chrono::milliseconds(100);
constexpr auto kLongestPause = std::chrono::milliseconds(5'000);
// What a client may keep a guest waiting while others wait for its place, and how often that is
// looked at.
constexpr auto kGrace = std::chrono::milliseconds(1'000);
constexpr auto kRelieveEvery = std::chrono::milliseconds(50);

}  // namespace

HandlerPool::~HandlerPool() {
  // Guests and runs hold each other until they have ended.
  guests_.clear();
  // The workers end here, whoever still holds the code.
  for (const auto& weak : codes_) {
    if (const auto code = weak.lock()) code->spares.reset();
  }
}

Status HandlerPool::Load(std::shared_ptr<supervisor::PolicyInForce> policy,
                         supervisor::ProgramSource entry) {
  auto code = std::make_shared<Code>();
  code->policy = std::move(policy);
  code->entry = std::move(entry);
  code->files = std::make_unique<supervisor::BrokerLink>(
      io_, supervisor::FilesBrokerProgram(code->policy->processes, code->entry.mounts));
  code->spares = std::make_shared<SparePool>(
      io_, SparePool::Options{.program = supervisor::WorkerProgram(code->policy->processes),
                              .spares = 1});
  if (Status s = code->spares->Start(); !s) return s;
  std::erase_if(codes_, [](const auto& weak) { return weak.expired(); });
  codes_.push_back(code);
  if (next_) RetireOthers(current_);
  next_ = std::move(code);
  Refill();
  return Ok{};
}

// ---- guests

void HandlerPool::Refill() {
  const auto code = next_ ? next_ : current_;
  if (!code || retiring_ || Clock::now() < code->not_before) return;
  size_t fresh = 0;
  for (const HandlerMember& m : guests_) {
    if (m.code == code && !m.guest->near_request_limit()) ++fresh;
  }
  // Until one is ready there is no use in several.
  const size_t wanted = code->proven ? options_.guests : 1;
  for (; fresh < wanted && guests_.size() < options_.processes; ++fresh) StartGuest(code);
}

void HandlerPool::StartGuest(const std::shared_ptr<Code>& code) {
  const uint64_t id = next_id_++;
  const auto out = std::make_shared<std::string>(), err = std::make_shared<std::string>();
  // They hold each other until they have ended.
  const auto guest_of = std::make_shared<std::weak_ptr<HandlerInstance>>();
  const auto run_of = std::make_shared<std::weak_ptr<Run>>();
  const auto guest = std::make_shared<HandlerInstance>(
      io_, id, options_.guest,
      HandlerInstance::Callbacks{.ready =
                                     [this, guest_of, code] {
                                       if (const auto g = guest_of->lock()) OnReady(g, code);
                                     },
                                 .answered =
                                     [run_of] {
                                       if (const auto run = run_of->lock()) run->ResetLimits();
                                     },
                                 .freed =
                                     [this] {
                                       Refill();
                                       Dispatch();
                                     },
                                 .refused =
                                     [this](const HandlerRequestPtr& r) {
                                       if (r->client != nullptr) Send(r);
                                     },
                                 .ended =
                                     [this, guest_of, code](const Outcome& outcome) {
                                       if (const auto g = guest_of->lock())
                                         OnEnded(g, code, outcome);
                                     },
                                 .kill =
                                     [run_of](const std::string& why) {
                                       if (const auto run = run_of->lock())
                                         run->Kill(Outcome::Kind::kKilled, kExitKilled, why);
                                     }});
  *guest_of = guest;
  const policy::PolicyFile& p = code->policy->file;
  Run::Job job{.name = supervisor::RunName(),
               .order = code->entry.order,
               .network = p.network,
               .limits = p.limits,
               .env = p.env,
               .debug_seccomp = code->policy->processes.debug_seccomp,
               .out = PrintLines(id, false, out),
               .err = PrintLines(id, true, err),
               .channel =
                   [guest](UniqueFd from_guest, UniqueFd to_guest) {
                     guest->OnChannel(std::move(from_guest), std::move(to_guest));
                   },
               .used = [this](const NetUsage& usage) { metrics_.Fetched(usage); }};
  const auto run = supervisor::LaunchGuest(
      {io_, code->policy->net, *code->files, cgroups_}, std::move(job),
      [guest](const Outcome& outcome) { guest->OnEnded(outcome); },
      {.spares = code->spares,
       .keep = code,
       .spawned = [this, asked = Clock::now()] { metrics_.Spawned(Clock::now() - asked); },
       .gone = nullptr});
  *run_of = run;
  guests_.push_back({guest, run, code, out, err});
}

void HandlerPool::OnReady(const std::shared_ptr<HandlerInstance>& guest,
                          const std::shared_ptr<Code>& code) {
  if (!std::exchange(code->proven, true)) {
    if (code == next_) current_ = std::exchange(next_, nullptr);
    RetireOthers(current_);
    if (loaded) loaded({});
  }
  // It takes the place of one that has nearly answered its number.
  for (const HandlerMember& m : guests_) {
    if (m.guest != guest && m.code == code && m.guest->near_request_limit() &&
        !m.guest->retiring()) {
      m.guest->Retire();
      break;
    }
  }
  Refill();
  Dispatch();
}

void HandlerPool::RetireOthers(const std::shared_ptr<Code>& code) {
  const auto members = guests_;
  for (const HandlerMember& m : members) {
    if (m.code == code) continue;
    // One that is not ready has nothing to finish.
    if (!m.guest->ready()) m.guest->EndNow("there is newer code");
    m.guest->Retire();
  }
}

void HandlerPool::OnEnded(const std::shared_ptr<HandlerInstance>& guest,
                          const std::shared_ptr<Code>& code, const Outcome& outcome) {
  const auto found = std::find_if(guests_.begin(), guests_.end(),
                                  [&](const HandlerMember& m) { return m.guest == guest; });
  if (found == guests_.end()) return;
  if (print && !found->out->empty()) print(guest->id(), false, *found->out);
  if (print && !found->err->empty()) print(guest->id(), true, *found->err);
  guests_.erase(found);
  metrics_.GuestEnded(outcome.KindText());
  std::string text = outcome.KindText();
  if (!outcome.error_message.empty()) {
    fmt::format_to(std::back_inserter(text), ": {}{}",
                   outcome.error_name.empty() ? "" : fmt::format("{}: ", outcome.error_name),
                   outcome.error_message);
  } else if (outcome.exit_status != 0) {
    fmt::format_to(std::back_inserter(text), ", exit code {}", outcome.exit_status);
  }
  if (log) {
    log(fmt::format(
        "guest {} of the handler ended, {} answered={} cpu_ms={} peak_memory_bytes={} requests={} "
        "denied={}",
        guest->id(), text, guest->answered(), outcome.usage.cpu_ms, outcome.usage.peak_memory_bytes,
        outcome.usage.net.requests, outcome.usage.net.denied));
  }
  if (code == next_ && !code->proven) {
    next_ = nullptr;
    if (loaded)
      loaded(outcome.kind == Outcome::Kind::kSucceeded
                 ? "the module ended the guest before it could take requests"
                 : text);
  } else if (guest->sent() > 0 || guest->retiring()) {
    code->failures = 0;
  } else {
    const auto pause = std::min(kFirstPause * (1 << std::min(code->failures, 10)), kLongestPause);
    ++code->failures;
    code->not_before = Clock::now() + pause;
    again_.SetAfter(pause + std::chrono::milliseconds(1));
  }
  Refill();
  Dispatch();
}

void HandlerPool::Retire() {
  retiring_ = true;
  const auto members = guests_;
  for (const HandlerMember& m : members) {
    if (!m.guest->ready()) m.guest->EndNow("the server is stopping");
    m.guest->Retire();
  }
}

void HandlerPool::KillAll(const std::string& why) {
  retiring_ = true;
  const auto members = guests_;
  for (const HandlerMember& m : members) m.guest->EndNow(why);
}

// ---- requests

std::shared_ptr<HandlerInstance> HandlerPool::Choose() const {
  std::shared_ptr<HandlerInstance> best;
  for (const HandlerMember& m : guests_) {
    if (m.code != current_ || !m.guest->CanAccept()) continue;
    if (!best || m.guest->outstanding() < best->outstanding()) best = m.guest;
  }
  return best;
}

void HandlerPool::Send(const HandlerRequestPtr& request) {
  if (waiting_.empty()) {
    if (const auto guest = Choose()) {
      guest->Send(request);
      if (guest->near_request_limit()) Refill();
      return;
    }
  }
  waiting_.push_back({request, Clock::now() + options_.queue_patience});
  if (DoesNotStart())
    return FailFirst({503, "destination_unavailable", "the handler does not start"});
  if (waiting_.size() > options_.waiting) {
    waiting_.pop_back();
    return std::exchange(request->client, nullptr)
        ->OnFailure(
            {503, "connection_limit_reached",
             fmt::format("{} requests wait already for the handler (--queue)", options_.waiting)});
  }
  if (waiting_.size() > 1) return;
  waited_.SetAfter(options_.queue_patience);
  relief_.SetAfter(kRelieveEvery);
}

bool HandlerPool::DoesNotStart() const {
  return current_ && current_->failures > 0 &&
         std::none_of(guests_.begin(), guests_.end(),
                      [](const HandlerMember& m) { return m.guest->ready(); });
}

void HandlerPool::FailFirst(const HandlerFailure& failure) {
  const HandlerRequestPtr request = waiting_.front().request;
  waiting_.pop_front();
  if (HandlerClient* client = std::exchange(request->client, nullptr)) client->OnFailure(failure);
}

void HandlerPool::Dispatch() {
  while (!waiting_.empty()) {
    const HandlerRequestPtr request = waiting_.front().request;
    if (request->client == nullptr) {
      waiting_.pop_front();
    } else if (const auto guest = Choose()) {
      waiting_.pop_front();
      guest->Send(request);
      if (guest->near_request_limit()) Refill();
    } else if (DoesNotStart()) {
      FailFirst({503, "destination_unavailable", "the handler does not start"});
    } else {
      return;
    }
  }
}

void HandlerPool::OnWaitedTooLong() {
  const auto now = Clock::now();
  while (!waiting_.empty()) {
    const QueuedRequest& first = waiting_.front();
    if (first.request->client != nullptr && first.until > now) {
      return waited_.SetAfter(
          std::chrono::duration_cast<std::chrono::milliseconds>(first.until - now) +
          std::chrono::milliseconds(1));
    }
    FailFirst({503, "connection_limit_reached",
               "no guest had a place for the request in time (--queue-timeout)"});
  }
}

void HandlerPool::Relieve() {
  if (waiting_.empty()) return;
  relief_.SetAfter(kRelieveEvery);
  // A guest that retires takes nobody in; that it ends makes room for another all the same.
  struct Slow {
    bool retiring;
    Clock::duration waited;
    HandlerRequestPtr request;
  };
  std::vector<Slow> slow;
  const auto now = Clock::now();
  for (const HandlerMember& m : guests_) {
    for (const HandlerRequestPtr& r : m.guest->requests()) {
      const auto waited = r->client_wait.Total(now);
      if (waited > kGrace) slow.push_back({m.guest->retiring(), waited, r});
    }
  }
  std::sort(slow.begin(), slow.end(), [](const Slow& a, const Slow& b) {
    return a.retiring != b.retiring ? b.retiring : a.waited > b.waited;
  });
  slow.resize(std::min(slow.size(), waiting_.size()));
  for (const Slow& s : slow) {
    if (s.request->guest) s.request->guest->GiveUp(s.request);
  }
}

void HandlerPool::Cancel(const HandlerRequestPtr& request) {
  request->client = nullptr;
  if (request->guest) return request->guest->Cancel(request);
  std::erase_if(waiting_, [&](const QueuedRequest& w) { return w.request == request; });
}

size_t HandlerPool::outstanding() const {
  size_t n = waiting_.size();
  for (const HandlerMember& m : guests_) n += m.guest->outstanding();
  return n;
}

void HandlerPool::LogBadResponse(const std::string& line) {
  ++bad_responses_;
  if (!log || Clock::now() - bad_response_logged_ < kLogEvery) return;
  bad_response_logged_ = Clock::now();
  const uint64_t n = std::exchange(bad_responses_, 0);
  log(n == 1 ? line : fmt::format("{}; {} more before it", line, n - 1));
}

// Whole lines, one call each.
supervisor::Forwarder::Sink HandlerPool::PrintLines(uint64_t guest, bool err,
                                                    std::shared_ptr<std::string> line) {
  return [this, guest, err, line](std::string_view piece, std::function<void(bool)> next) {
    for (const char c : piece) {
      if (c != '\n') line->push_back(c);
      if (c != '\n' && line->size() < kMaxLine) continue;
      if (print) print(guest, err, *line);
      line->clear();
    }
    next(true);
  };
}

}  // namespace postern::server
