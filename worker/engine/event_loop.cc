#include "worker/engine/event_loop.h"

#include <poll.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "worker/engine/v8_values.h"

namespace postern::worker {

void EventLoop::Settle() {
  do {
    RunMicrotasks();
    if (after_microtasks) after_microtasks();
  } while (engine_.tasks().RunDue());
}

void EventLoop::RunMicrotasks() {
  v8::Isolate* isolate = engine_.isolate();
  do {
    if (std::exchange(ticks_, false)) {
      const v8::HandleScope scope(isolate);
      const v8::TryCatch ignored(isolate);  // the hook reports its callbacks' errors itself
      (void)engine_.Hook("runTicks")->Call(engine_.context(), v8::Undefined(isolate), 0, nullptr);
    }
    isolate->PerformMicrotaskCheckpoint();
  } while (ticks_ && !isolate->IsExecutionTerminating());
}

void EventLoop::Run(const std::function<bool()>& done) {
  v8::Isolate* isolate = engine_.isolate();
  for (;;) {
    v8::HandleScope scope(isolate);
    Settle();
    if (done()) return;
    if (!Pending()) return;
    Wait();
    if (MonotonicSeconds() >= timer_due_) {
      timer_due_ = std::numeric_limits<double>::infinity();  // the hook sets it anew
      const v8::TryCatch ignored(isolate);  // the hook reports its callbacks' errors itself
      (void)engine_.Hook("runTimers")->Call(engine_.context(), v8::Undefined(isolate), 0, nullptr);
    }
  }
}

bool EventLoop::Pending() const {
  bool pending =
      (std::isfinite(timer_due_) && timer_keeps_going_) || engine_.tasks().NextDelayMs() == 0;
  for (const Source* s : sources_) pending = pending || s->Pending();
  return pending;
}

void EventLoop::Wait() {
  if (before_wait) before_wait();
  std::vector<pollfd> fds;
  double deadline = timer_due_;
  for (Source* s : sources_) {
    s->WaitSet([&](int fd, short events) { fds.push_back({fd, events, 0}); });
    deadline = std::min(deadline, s->Deadline());
  }
  const double begun = MonotonicSeconds();
  double wait_ms = std::isfinite(deadline) ? std::max(0.0, (deadline - begun) * 1000) : 1e9;
  if (const double task = engine_.tasks().NextDelayMs(); task >= 0)
    wait_ms = std::min(wait_ms, task);
  ::poll(fds.data(), fds.size(), static_cast<int>(std::ceil(std::min(wait_ms, 1e9))));
  const double waited = MonotonicSeconds() - begun;
  const auto ready = [&](int fd) -> short {
    for (const pollfd& p : fds) {
      if (p.fd == fd) return p.revents;
    }
    return 0;
  };
  for (Source* s : sources_) s->OnReady(ready, waited);
}

}  // namespace postern::worker
