#include "supervisor/broker_link.h"

#include <sys/mman.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/by_type.h"
#include "base/eintr.h"
#include "supervisor/process_layers.h"

namespace postern::supervisor {
namespace {

using channel::BindGuest;
using channel::DropGuest;
using namespace std::chrono_literals;

constexpr auto kPongWithin = 500ms;
constexpr auto kUsageWithin = 5s;  // the last of a recording goes before

// `bytes` in a file without a name: a policy may be larger than a message.
Result<UniqueFd> InMemory(const std::string& bytes) {
  UniqueFd fd(::memfd_create("postern-policy", MFD_CLOEXEC));
  if (!fd.valid()) return SystemError("cannot make a file in memory");
  for (size_t at = 0; at < bytes.size();) {
    // By its offset: the reader begins at the descriptor's own, which stays at 0.
    const ssize_t n = Uninterrupted([&] {
      return ::pwrite(fd.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    });
    if (n < 0) return SystemError("cannot write a file in memory");
    at += static_cast<size_t>(n);
  }
  return fd;
}

}  // namespace

// ---- one guest

BrokerBinding::BrokerBinding(BrokerLink& link, std::string payload, std::string run,
                             std::function<void(const std::string&, bool)> failed, EventSink events)
    : link_(&link),
      payload_(std::move(payload)),
      run_(std::move(run)),
      failed_(std::move(failed)),
      events_(std::move(events)),
      patience_(link.io_) {
  link_->guests_.insert(this);
}

BrokerBinding::~BrokerBinding() {
  owner_.Leave();
  if (link_ == nullptr) return;
  link_->guests_.erase(this);
  for (const uint64_t id : bound_) {
    link_->bound_.erase(id);
    // What cannot be sent is to a broker that is gone.
    if (link_->child_) (void)link_->child_->Send(DropGuest{id}).ok();
  }
}

Status BrokerBinding::Bind(UniqueFd in, UniqueFd out) {
  const bool had_one = link_->child_ && !bound_.empty();
  if (Status s = link_->Start(); !s) return s;
  waiting_ = {std::move(in), std::move(out)};
  if (had_one) {
    link_->AskWhetherItLives();  // the guest gave up on its last channel
  } else if (!SendBind()) {
    link_->Replace();
  }
  return Ok{};
}

bool BrokerBinding::SendBind() {
  if (!waiting_.first.valid() || !link_->child_) return true;
  const auto policy = InMemory(payload_);
  if (!policy) {
    waiting_ = {};
    failed_(policy.error().message, false);
    return true;
  }
  // One channel a guest: a second one at the same time would double its limits.
  for (const uint64_t old : bound_) {
    if (!link_->child_->Send(DropGuest{old})) return false;
  }
  const uint64_t id = link_->next_id_++;
  if (!link_->child_->Send(BindGuest{.guest = id, .wants_events = events_ != nullptr, .run = run_},
                           {waiting_.first.get(), waiting_.second.get(), policy->get()}))
    return false;
  bound_.push_back(id);
  link_->bound_[id] = this;
  waiting_ = {};
  return true;
}

void BrokerBinding::Close(std::function<void()> done) {
  finished_ = std::move(done);
  if (!link_->child_ || bound_.empty()) return Complete();
  for (const uint64_t id : bound_) {
    if (!link_->child_->Send(DropGuest{id})) break;
  }
  patience_.expires_after(kUsageWithin);
  patience_.async_wait(owner_.WhileHere([this](const boost::system::error_code& error) {
    if (!error) Complete();
  }));
}

void BrokerBinding::Complete() {
  if (!finished_) return;
  patience_.cancel();
  boost::asio::post(link_->io_, std::exchange(finished_, nullptr));
}

// ---- the process

BrokerLink::~BrokerLink() {
  owner_.Leave();
  for (BrokerBinding* guest : guests_) guest->link_ = nullptr;
}

Status BrokerLink::Start() {
  if (child_) return Ok{};
  auto child = ChildProcess::Start(
      io_, program_,
      {[this](const channel::ReceivedControl& m) { OnMessage(m.message); }, [this] { OnGone(); }});
  if (!child) return child.error();
  child_ = *std::move(child);
  ++generation_;
  return Ok{};
}

void BrokerLink::WhenReady(std::function<void()> done) {
  if (ready_ || !Start()) return done();  // whoever binds a guest is told why it cannot start
  when_ready_.push_back(std::move(done));
}

void BrokerLink::CompleteReady() {
  for (const auto& done : std::exchange(when_ready_, {})) done();
}

void BrokerLink::Stop() {
  child_.reset();
  ready_ = false;
  bound_.clear();
  for (BrokerBinding* guest : guests_) {
    guest->bound_.clear();
    guest->Complete();
  }
  CompleteReady();
}

bool BrokerLink::IsWaitedFor() const {
  return std::any_of(guests_.begin(), guests_.end(),
                     [](const BrokerBinding* g) { return g->waiting_.first.valid(); });
}

void BrokerLink::AskWhetherItLives() {
  if (!child_->Send(channel::Ping{})) return Replace();
  patience_.expires_after(kPongWithin);
  patience_.async_wait(owner_.WhileHere([this](const boost::system::error_code& error) {
    if (!error && IsWaitedFor()) Replace();
  }));
}

bool BrokerLink::SendWaiting() {
  const std::set<BrokerBinding*> guests = guests_;  // one that fails may take itself out
  bool all = true;
  for (BrokerBinding* guest : guests) {
    if (guests_.contains(guest)) all = guest->SendBind() && all;
  }
  return all;
}

void BrokerLink::Replace() {
  Stop();
  if (const Status s = Start(); !s) return Fail(s.error().message, false);
  if (SendWaiting()) return;
  // A new one that is gone already: the guests see their channels end, and say so.
  for (BrokerBinding* guest : guests_) guest->waiting_ = {};
}

void BrokerLink::Fail(const std::string& why, bool bad_input) {
  const std::set<BrokerBinding*> guests = guests_;
  for (BrokerBinding* guest : guests) {
    if (guests_.contains(guest)) guest->failed_(why, bad_input);
  }
  CompleteReady();
}

void BrokerLink::OnMessage(const channel::ControlMessage& message) {
  std::visit(ByType{
                 [&](const channel::Ready& ready) { OnReady(ready); },
                 [&](const channel::StartFailed& m) { Fail(m.reason, m.users_input); },
                 [&](const channel::BindFailed& failed) { OnBindFailed(failed); },
                 [&](const channel::Pong&) { OnPong(); },
                 [&](const channel::GuestEvent& event) { OnGuestEvent(event); },
                 [&](const channel::UsageReport& report) { OnUsage(report); },
                 [&](const channel::ChannelClosed& closed) { OnChannelClosed(closed); },
                 [](const auto&) {},
             },
             message);
}

void BrokerLink::OnReady(const channel::Ready& ready) {
  layers_ = LayersJson(ready);
  ready_ = true;
  CompleteReady();
}

void BrokerLink::OnBindFailed(const channel::BindFailed& failed) {
  const auto guest = bound_.find(failed.guest);
  if (guest != bound_.end()) guest->second->failed_(failed.reason, false);
}

void BrokerLink::OnPong() {
  patience_.cancel();
  if (!SendWaiting()) Replace();
}

void BrokerLink::OnGuestEvent(const channel::GuestEvent& event) {
  const auto guest = bound_.find(event.guest);
  if (guest != bound_.end() && guest->second->events_)
    guest->second->events_(event.line, event.lost);
}

NetUsage BrokerBinding::usage() const {
  NetUsage all = closed_;
  for (const auto& [id, usage] : so_far_) all.Add(usage);
  return all;
}

void BrokerLink::OnUsage(const channel::UsageReport& report) {
  const auto found = bound_.find(report.guest);
  if (found == bound_.end()) return;
  BrokerBinding& guest = *found->second;
  guest.so_far_[report.guest] = report.usage;
  if (guest.used) guest.used();
}

void BrokerLink::OnChannelClosed(const channel::ChannelClosed& closed) {
  const auto found = bound_.find(closed.guest);
  if (found == bound_.end()) return;
  BrokerBinding& guest = *found->second;
  bound_.erase(found);
  guest.so_far_.erase(closed.guest);
  guest.closed_.Add(closed.usage);
  std::erase(guest.bound_, closed.guest);
  if (guest.bound_.empty()) guest.Complete();
}

void BrokerLink::OnGone() {
  // Later: this is called from the child's own callback. By then it may be replaced already.
  boost::asio::post(io_, owner_.WhileHere([this, gone = generation_] {
    if (gone != generation_) return;
    Stop();
    if (IsWaitedFor()) Replace();
  }));
}

}  // namespace postern::supervisor
