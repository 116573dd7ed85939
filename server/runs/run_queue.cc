#include "server/runs/run_queue.h"

#include <algorithm>

namespace postern::server {

bool RunQueue::Enqueue(const std::string& caller, uint64_t id, Ticket ticket) {
  if (running_ < options_.places) {
    ++running_;
    ticket.start();
    return true;
  }
  std::optional<QueuedRun> displaced;
  if (waiting_ >= options_.waiting) {
    displaced = MakeRoom(caller);
    if (!displaced) return false;
  }
  QueuedRun w{id, std::move(ticket), std::make_unique<boost::asio::steady_timer>(io_)};
  w.timer->expires_after(options_.patience);
  w.timer->async_wait(owner_.WhileHere([this, id](const boost::system::error_code& error) {
    if (error) return;
    if (const auto late = Remove(id)) late->ticket.late();
  }));
  by_caller_[caller].push_back(std::move(w));
  ++waiting_;
  if (displaced) displaced->ticket.displaced();
  return true;
}

std::optional<RunQueue::QueuedRun> RunQueue::MakeRoom(const std::string& caller) {
  const auto heaviest = std::max_element(
      by_caller_.begin(), by_caller_.end(),
      [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  const auto own = by_caller_.find(caller);
  const size_t owned = own == by_caller_.end() ? 0 : own->second.size();
  if (heaviest == by_caller_.end() || heaviest->second.size() < owned + 2) return std::nullopt;
  return Remove(heaviest->second.back().id);
}

std::optional<RunQueue::QueuedRun> RunQueue::Remove(uint64_t id) {
  for (auto& [caller, list] : by_caller_) {
    const auto found =
        std::find_if(list.begin(), list.end(), [&](const QueuedRun& w) { return w.id == id; });
    if (found == list.end()) continue;
    QueuedRun w = std::move(*found);
    list.erase(found);
    --waiting_;
    if (list.empty()) by_caller_.erase(std::string(caller));
    return w;
  }
  return std::nullopt;
}

bool RunQueue::Cancel(uint64_t id) { return Remove(id).has_value(); }

void RunQueue::Release() {
  --running_;
  Next();
}

// One of the caller's after the one that was served last.
void RunQueue::Next() {
  if (by_caller_.empty() || running_ >= options_.places) return;
  auto turn = by_caller_.upper_bound(last_);
  if (turn == by_caller_.end()) turn = by_caller_.begin();
  last_ = turn->first;
  QueuedRun w = std::move(turn->second.front());
  turn->second.pop_front();
  if (turn->second.empty()) by_caller_.erase(turn);
  --waiting_;
  ++running_;
  w.ticket.start();
}

}  // namespace postern::server
