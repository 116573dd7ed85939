#include "worker/engine/platform.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace postern::worker {
namespace {

// A job without threads: all of its work is done by whoever joins it.
class InlineJob : public v8::JobHandle, v8::JobDelegate {
 public:
  explicit InlineJob(std::unique_ptr<v8::JobTask> task) : task_(std::move(task)) {}

  void NotifyConcurrencyIncrease() override {}
  void Join() override {
    while (task_ && task_->GetMaxConcurrency(0) > 0) task_->Run(this);
    task_.reset();
  }
  void Cancel() override { task_.reset(); }
  void CancelAndDetach() override { task_.reset(); }
  bool IsActive() override { return task_ && task_->GetMaxConcurrency(0) > 0; }
  bool IsValid() override { return task_ != nullptr; }

  bool ShouldYield() override { return false; }
  uint8_t GetTaskId() override { return 0; }
  bool IsJoiningThread() const override { return true; }

 private:
  std::unique_ptr<v8::JobTask> task_;
};

int64_t g_resolution_us = 100;

}  // namespace

void SetClockResolution(int64_t microseconds) { g_resolution_us = microseconds; }

double CoarseSeconds(double seconds) {
  const auto step = static_cast<double>(g_resolution_us);
  return std::floor(seconds * 1e6 / step) * step / 1e6;
}

double MonotonicSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void TaskQueue::PostDelayedTaskImpl(std::unique_ptr<v8::Task> task, double delay,
                                    const v8::SourceLocation&) {
  delayed_.push({MonotonicSeconds() + delay, std::move(task)});
}

bool TaskQueue::RunDue() {
  const double now = delayed_.empty() ? 0 : MonotonicSeconds();
  while (!delayed_.empty() && delayed_.top().due <= now) {
    const std::shared_ptr<v8::Task> task = delayed_.top().task;
    delayed_.pop();
    task->Run();
  }
  auto ready = std::exchange(ready_, {});
  for (const auto& task : ready) task->Run();
  return !ready.empty();
}

double TaskQueue::NextDelayMs() const {
  if (!ready_.empty()) return 0;
  if (delayed_.empty()) return -1;
  return std::max(0.0, (delayed_.top().due - MonotonicSeconds()) * 1000);
}

Platform::Platform() : tracing_(std::make_unique<v8::TracingController>()) {}

std::unique_ptr<v8::JobHandle> Platform::CreateJobImpl(v8::TaskPriority,
                                                       std::unique_ptr<v8::JobTask> job,
                                                       const v8::SourceLocation&) {
  return std::make_unique<InlineJob>(std::move(job));
}

void Platform::PostTaskOnWorkerThreadImpl(v8::TaskPriority, std::unique_ptr<v8::Task> task,
                                          const v8::SourceLocation& where) {
  tasks_->PostTask(std::move(task), where);
}

void Platform::PostDelayedTaskOnWorkerThreadImpl(v8::TaskPriority, std::unique_ptr<v8::Task> task,
                                                 double delay, const v8::SourceLocation& where) {
  tasks_->PostDelayedTask(std::move(task), delay, where);
}

}  // namespace postern::worker
