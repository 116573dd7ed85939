// EventLoop: a guest's one loop: pipes, V8's tasks, microtasks and the runtime's timers, over
// poll(2).
#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "worker/engine/engine.h"

namespace postern::worker {

class EventLoop {
 public:
  // Something that owns descriptors. Times are MonotonicSeconds.
  class Source {
   public:
    virtual ~Source() = default;
    // Adds what to wait for: calls `want(fd, POLLIN|POLLOUT)` once a descriptor.
    virtual void WaitSet(const std::function<void(int, short)>& want) = 0;
    // After a wait of `waited` seconds: handles what is ready. `ready(fd)` gives its revents.
    virtual void OnReady(const std::function<short(int)>& ready, double waited) = 0;
    // When it wants to be called at the latest; infinity for never.
    virtual double Deadline() const = 0;
    // Keeps the run going.
    virtual bool Pending() const = 0;
  };

  explicit EventLoop(Engine& engine) : engine_(engine) {}
  void Add(Source& source) { sources_.push_back(&source); }

  // Runs until `done` says so or nothing is pending any more.
  void Run(const std::function<bool()>& done);
  // Runs microtasks, V8's tasks, and reports rejections that stayed unhandled.
  void Settle();
  // Runs what process.nextTick was given, then microtasks, until there are neither.
  void RunMicrotasks();
  void WantTicks() { ticks_ = true; }

  // Whether something keeps the run going.
  bool Pending() const;

  // Set by the runtime: when its next timer is due (MonotonicSeconds; infinity for none), and
  // whether that keeps the run going.
  void SetTimer(double due, bool keeps_going) {
    timer_due_ = due;
    timer_keeps_going_ = keeps_going;
  }
  // Called after each macrotask's microtasks.
  std::function<void()> after_microtasks;
  // Called before each wait.
  std::function<void()> before_wait;

 private:
  void Wait();

  Engine& engine_;
  std::vector<Source*> sources_;
  bool ticks_ = false;
  bool timer_keeps_going_ = false;
  double timer_due_ = std::numeric_limits<double>::infinity();
};

}  // namespace postern::worker
