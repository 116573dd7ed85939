#include "supervisor/guest_launcher.h"

#include <utility>

namespace postern::supervisor {
namespace {

void Call(const std::function<void()>& function) {
  if (function) function();
}

}  // namespace

std::shared_ptr<Run> LaunchGuest(const Run::RunEnvironment& environment, Run::Job job,
                                 std::function<void(run_api::Outcome)> done, GuestLaunch launch) {
  const auto id = std::make_shared<uint64_t>(0);  // of its spare
  const auto run = std::make_shared<Run>(environment, std::move(job), std::move(done),
                                         [pool = std::weak_ptr<SparePool>(launch.spares), id] {
                                           if (const auto spares = pool.lock())
                                             spares->ExpectKill(*id);
                                         });
  launch.spares->Acquire(
      [run, id, keep = launch.keep, spawned = std::move(launch.spawned),
       gone = launch.gone](Result<SparePool::WarmSpare> spare) {
        if (!spare) {
          Call(gone);
          return run->FailToRun(spare.error().message);
        }
        *id = spare->id;
        if (spare->layers) run->Confinement("worker") = *spare->layers;
        Call(spawned);
        run->Start(std::move(spare->fds), std::move(spare->pidfd));
      },
      // Keeps the run, and with it the guest's cgroup, until its process is gone.
      [run, keep = launch.keep, gone = launch.gone](const ProcessExit& end) {
        Call(gone);
        if (end.lost) return run->FailToRun("the worker ended unexpectedly");
        run->OnExit(end);
      });
  return run;
}

}  // namespace postern::supervisor
