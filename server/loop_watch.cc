#include "server/loop_watch.h"

#include <time.h>

#include <utility>

namespace postern::server {
namespace {

LoopWatch::Duration CpuTime() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace

void LoopWatch::Run(boost::asio::io_context& io) {
  Duration cpu = CpuTime();
  while (!io.stopped()) {
    const auto began = std::chrono::steady_clock::now();
    const bool ready = io.poll_one() > 0;
    // Where nothing is ready, the first turn after the wait has only its CPU time to go by.
    if (!ready && io.run_one() == 0) return;
    const Duration now = CpuTime(), used = now - std::exchange(cpu, now);
    const Duration took = ready ? std::chrono::steady_clock::now() - began : used;
    if (took >= kStall) stalled_(took, used);
  }
}

}  // namespace postern::server
