// Platform: V8's tasks on the guest's one thread. Foreground and delayed tasks wait here until the
// guest's event loop runs them; there are no helper threads (--single-threaded), so jobs run when
// they are joined.
#pragma once

#include <v8-platform.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <queue>

namespace postern::worker {

double MonotonicSeconds();

// What a guest may read from a clock: the last whole multiple of the resolution, so that it cannot
// time what other processes do to caches. SetClockResolution before the guest's code runs.
void SetClockResolution(int64_t microseconds);
double CoarseSeconds(double seconds);

class TaskQueue : public v8::TaskRunner {
 public:
  bool IdleTasksEnabled() override { return false; }
  bool NonNestableTasksEnabled() const override { return true; }
  bool NonNestableDelayedTasksEnabled() const override { return true; }

  // Runs what is due, but not what that posts anew. True if anything ran.
  bool RunDue();
  // Milliseconds until a task is due: 0 now, -1 never.
  double NextDelayMs() const;

 protected:
  void PostTaskImpl(std::unique_ptr<v8::Task> task, const v8::SourceLocation&) override {
    ready_.push_back(std::move(task));
  }
  void PostNonNestableTaskImpl(std::unique_ptr<v8::Task> task, const v8::SourceLocation&) override {
    ready_.push_back(std::move(task));
  }
  void PostDelayedTaskImpl(std::unique_ptr<v8::Task> task, double delay,
                           const v8::SourceLocation&) override;
  void PostNonNestableDelayedTaskImpl(std::unique_ptr<v8::Task> task, double delay,
                                      const v8::SourceLocation& where) override {
    PostDelayedTaskImpl(std::move(task), delay, where);
  }

 private:
  struct Delayed {
    double due;
    std::shared_ptr<v8::Task> task;
    bool operator<(const Delayed& other) const { return due > other.due; }
  };
  std::deque<std::unique_ptr<v8::Task>> ready_;
  std::priority_queue<Delayed> delayed_;
};

class Platform : public v8::Platform {
 public:
  Platform();
  TaskQueue& tasks() { return *tasks_; }

  int NumberOfWorkerThreads() override { return 0; }
  std::shared_ptr<v8::TaskRunner> GetForegroundTaskRunner(v8::Isolate*, v8::TaskPriority) override {
    return tasks_;
  }
  double MonotonicallyIncreasingTime() override { return MonotonicSeconds(); }
  // Date and Temporal.
  double CurrentClockTimeMillis() override {
    return CoarseSeconds(SystemClockTimeMillis() / 1000) * 1000;
  }
  v8::TracingController* GetTracingController() override { return tracing_.get(); }

 protected:
  std::unique_ptr<v8::JobHandle> CreateJobImpl(v8::TaskPriority, std::unique_ptr<v8::JobTask> job,
                                               const v8::SourceLocation&) override;
  void PostTaskOnWorkerThreadImpl(v8::TaskPriority, std::unique_ptr<v8::Task> task,
                                  const v8::SourceLocation& where) override;
  void PostDelayedTaskOnWorkerThreadImpl(v8::TaskPriority, std::unique_ptr<v8::Task> task,
                                         double delay, const v8::SourceLocation& where) override;

 private:
  std::shared_ptr<TaskQueue> tasks_ = std::make_shared<TaskQueue>();
  std::unique_ptr<v8::TracingController> tracing_;
};

}  // namespace postern::worker
