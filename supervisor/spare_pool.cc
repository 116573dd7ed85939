#include "supervisor/spare_pool.h"

#include <sys/wait.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdlib>
#include <utility>

#include "base/by_type.h"
#include "base/format.h"
#include "channel/spare_fds.h"
#include "supervisor/process_layers.h"

namespace postern::supervisor {

namespace {

static_assert(channel::kSpareFdCount + 1 <= kMaxFds, "a spare comes with one message");

// Zygotes that did not start, and spares that could not be made: then who waits is told.
constexpr int kFailuresInARow = 3, kSpareFailuresInARow = 6;
constexpr auto kFirstPause = std::chrono::milliseconds(50);
constexpr auto kLongestPause = std::chrono::milliseconds(5'000);

}  // namespace

Status SparePool::Start() {
  auto zygote = StartZygote();
  if (!zygote) return zygote.error();
  Refill();
  return Ok{};
}

void SparePool::Acquire(std::function<void(Result<WarmSpare>)> taken,
                        std::function<void(const ProcessExit&)> ended) {
  waiting_.push_back({std::move(taken), std::move(ended)});
  AssignWaiting();
}

void SparePool::ExpectKill(uint64_t id) {
  for (ZygoteProcess& zygote : zygotes_) {
    const auto slot = zygote.slots.find(id);
    if (slot != zygote.slots.end()) slot->second.killed = true;
  }
}

Result<SparePool::ZygoteProcess*> SparePool::StartZygote() {
  ZygoteProcess& zygote = zygotes_.emplace_back();
  auto child = ChildProcess::Start(
      io_, options_.program,
      {[this, &zygote](channel::ReceivedControl m) { OnMessage(zygote, std::move(m)); },
       [this, &zygote] { OnGone(zygote, "the worker ended unexpectedly"); }});
  if (!child) {
    zygotes_.pop_back();
    return child.error();
  }
  zygote.child = *std::move(child);
  ++started_;
  return &zygote;
}

size_t SparePool::idle() const {
  size_t count = 0;
  for (const ZygoteProcess& zygote : zygotes_) {
    if (zygote.gone || zygote.distrusted) continue;
    for (const auto& [id, slot] : zygote.slots) count += slot.forked && !slot.taken ? 1 : 0;
  }
  return count;
}

SparePool::ZygoteProcess* SparePool::Current() {
  for (ZygoteProcess& zygote : zygotes_) {
    if (!zygote.retired && !zygote.gone) return &zygote;
  }
  return nullptr;
}

// Asks for as many spares as are to be idle, and one more for each who waits.
void SparePool::Refill() {
  if (resting_) return;
  ZygoteProcess* zygote = Current();
  if (zygote == nullptr) {
    auto started = StartZygote();
    if (!started) return OnSpareFailed(started.error().message);
    zygote = *started;
  }
  size_t untaken = 0;
  for (const ZygoteProcess& z : zygotes_) {
    if (z.distrusted) continue;
    for (const auto& [id, slot] : z.slots) untaken += slot.taken ? 0 : 1;
  }
  while (untaken < options_.spares + waiting_.size()) {
    if (zygote->forks >= options_.guests_per_zygote) {
      Retire(*zygote, true);
      return Refill();  // from the next one
    }
    const uint64_t id = next_id_++;
    if (!zygote->child->Send(channel::ForkSpare{.spare = id})) return;  // OnGone follows
    zygote->slots[id];
    ++zygote->forks;
    ++untaken;
  }
}

// Spares to who waits, the longest first.
void SparePool::AssignWaiting() {
  for (ZygoteProcess& zygote : zygotes_) {
    if (zygote.gone || zygote.distrusted) continue;
    for (auto& [id, slot] : zygote.slots) {
      if (waiting_.empty()) break;
      if (!slot.forked || slot.taken) continue;
      PendingAcquire first = std::move(waiting_.front());
      waiting_.pop_front();
      slot.taken = true;
      slot.ended = std::move(first.ended);
      boost::asio::post(io_, [taken = std::move(first.taken),
                              guest = std::make_shared<WarmSpare>(std::move(slot.idle))]() mutable {
        taken(std::move(*guest));
      });
    }
  }
  Refill();
}

// It forks no more. Its idle spares still serve where only its guests were counted; where a guest
// died badly they are let go: the end of its order pipe ends a spare.
void SparePool::Retire(ZygoteProcess& zygote, bool trusted) {
  zygote.retired = true;
  if (!trusted && !std::exchange(zygote.distrusted, true)) {
    for (auto& [id, slot] : zygote.slots) {
      if (!slot.taken) slot.idle = {};
    }
  }
  SweepSoon();
}

void SparePool::OnMessage(ZygoteProcess& zygote, channel::ReceivedControl received) {
  std::visit(ByType{
                 [&](const channel::Ready& ready) {
                   zygote.layers = std::make_shared<nlohmann::json>(LayersJson(ready));
                 },
                 [&](const channel::StartFailed& failed) { OnGone(zygote, failed.reason); },
                 [&](const channel::SpareMade& made) {
                   failures_ = 0;
                   OnSpareMade(zygote, made.spare, std::move(received.fds), received.lost_fds);
                 },
                 [&](const channel::SpareFailed& failed) {
                   if (zygote.slots.erase(failed.spare) == 0) return;
                   if (zygote.retired) SweepSoon();
                   OnSpareFailed(failed.reason);
                 },
                 [&](const channel::SpareExited& exited) { OnExited(zygote, exited); },
                 [](const auto&) {},
             },
             received.message);
}

void SparePool::OnSpareMade(ZygoteProcess& zygote, uint64_t id, std::vector<UniqueFd> fds,
                            bool lost_fds) {
  const auto found = zygote.slots.find(id);
  if (found == zygote.slots.end()) return;
  SpareSlot& slot = found->second;
  if (lost_fds) {
    slot.let_go = true;
    return OnSpareFailed("the server has no room for a guest's descriptors");
  }
  if (fds.size() != channel::kSpareFdCount + 1) return;
  if (zygote.distrusted) return;  // its pipes close here, and it ends
  slot.idle.id = id;
  slot.idle.pidfd = std::move(fds.back());
  fds.pop_back();
  slot.idle.fds = std::move(fds);
  slot.idle.layers = zygote.layers;
  slot.forked = true;
  spare_failures_ = 0;
  AssignWaiting();
}

void SparePool::OnExited(ZygoteProcess& zygote, const channel::SpareExited& exited) {
  const auto found = zygote.slots.find(exited.spare);
  if (found == zygote.slots.end()) return;
  const SpareSlot slot = std::move(found->second);
  zygote.slots.erase(found);
  const ProcessExit& exit = exited.exit;
  // A spare that nobody took ends by itself only when it was let go.
  const bool badly =
      !slot.let_go &&
      (WIFSIGNALED(exit.wait_status) ? !slot.killed : !slot.taken && !zygote.retired);
  if (badly) Retire(zygote, false);
  if (badly && !slot.taken) OnSpareFailed("a spare ended before it was used");
  if (slot.taken) slot.ended(exit);
  if (zygote.retired) SweepSoon();
  if (slot.taken) resting_ = false;  // what it had is free
  AssignWaiting();
}

bool SparePool::HasGuests() const {
  return std::any_of(zygotes_.begin(), zygotes_.end(), [](const ZygoteProcess& z) {
    return std::any_of(z.slots.begin(), z.slots.end(),
                       [](const auto& slot) { return slot.second.taken; });
  });
}

// Who waits goes on waiting as long as guests run: each that ends makes room.
void SparePool::OnSpareFailed(const std::string& why) {
  const auto pause = std::min(kFirstPause * (1 << std::min(spare_failures_, 10)), kLongestPause);
  ++spare_failures_;
  if (!HasGuests() && spare_failures_ >= kSpareFailuresInARow)
    FailWaiting(fmt::format("a guest cannot be started: {}", why));
  resting_ = true;
  again_.expires_after(pause);
  again_.async_wait(owner_.WhileHere([this](const boost::system::error_code& error) {
    if (error) return;
    resting_ = false;
    Refill();
  }));
}

// Its guests are gone with it (a pid namespace ends with its first process; PDEATHSIG besides).
void SparePool::OnGone(ZygoteProcess& zygote, const std::string& why) {
  if (std::exchange(zygote.gone, true)) return;
  zygote.retired = true;
  auto slots = std::exchange(zygote.slots, {});
  for (auto& [id, slot] : slots) {
    if (slot.taken) slot.ended({.lost = true});
  }
  SweepSoon();
  if (++failures_ >= kFailuresInARow) return FailWaiting(why);
  Refill();
}

void SparePool::FailWaiting(const std::string& why) {
  failures_ = 0;  // who asks later makes another attempt
  for (PendingAcquire& w : std::exchange(waiting_, {})) {
    boost::asio::post(io_, [taken = std::move(w.taken), why] { taken(Error{why}); });
  }
}

// Later: this may be a zygote's own callback.
void SparePool::SweepSoon() {
  if (std::exchange(sweep_queued_, true)) return;
  boost::asio::post(io_, owner_.WhileHere([this] {
    sweep_queued_ = false;
    std::erase_if(zygotes_,
                  [](const ZygoteProcess& z) { return z.gone || (z.retired && z.slots.empty()); });
  }));
}

}  // namespace postern::supervisor
