#include "server/descriptor_budget.h"

#include <sys/resource.h>

#include <algorithm>
#include <string>

#include "base/format.h"
#include "channel/spare_fds.h"

namespace postern::server {
namespace {

// Standard ones, listeners, event loop, brokers, logs, metrics' files, and what starting a process
// takes for a moment.
constexpr size_t kReserve = 64;
// A guest's pipes and pidfd; a files broker's socket and pidfd; a file in memory for each channel
// that is bound; its cgroup.
constexpr size_t kOfRun = channel::kSpareFdCount + 1 + 6;
constexpr size_t kOfSpare = channel::kSpareFdCount + 1;
constexpr size_t kOfZygote = 2 * 2;  // one may be on its way out
constexpr size_t kDoors = 3;
constexpr size_t kFewestConnections = 8;
constexpr size_t kMostMounts = 1'024;

// A part of what is left, as far as it goes.
size_t Allocate(size_t& left, size_t part, size_t wanted, size_t each, size_t least) {
  const size_t count = std::min(wanted, std::max(part / each, least));
  left -= std::min(left, count * each);
  return count;
}

}  // namespace

Result<DescriptorBudget> DescriptorBudget::Share(size_t granted, const Wanted& w) {
  DescriptorBudget b{.granted = granted};
  const size_t usable = granted - std::min(granted, kReserve);
  size_t left = usable;
  const size_t of_caller = kOfZygote + w.spares * kOfSpare;
  b.callers = Allocate(left, usable / 8, w.callers, of_caller, 1);
  b.handler_guests =
      Allocate(left, usable / 4, w.handler_guests, kOfRun, w.handler_guests > 0 ? 2 : 0);
  b.runs = Allocate(left, left / 2, w.runs, kOfRun, 1);
  b.mounts = Allocate(left, left / 8, kMostMounts, 1, 0);
  // Each door has its own; the handler has what the others leave.
  const size_t shares = kDoors + (w.handler_connections > 0 ? 3 : 0);
  b.connections = std::min(w.connections, left / shares);
  left -= kDoors * b.connections;
  b.handler_connections = std::min(w.handler_connections, left);
  if (b.connections < kFewestConnections)
    return Error{
        fmt::format("a server needs more descriptors than the {} that it may have; raise the hard "
                    "limit (ulimit -Hn, LimitNOFILE=), or ask for fewer --spares",
                    granted)};
  return b;
}

size_t RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  const bool raised = ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
  return static_cast<size_t>(raised ? limit.rlim_max : before);
}

}  // namespace postern::server
