#include "worker/process/spare.h"

#include <sys/resource.h>

#include <cstdint>

#include "base/eintr.h"
#include "base/exit_status.h"
#include "base/format.h"
#include "channel/spare_fds.h"
#include "sandbox/process.h"

namespace postern::worker {
namespace {

// Address space that is reserved, not used. Page tables count in no other limit: mappings that are
// only read cost one page of them for each 2 MiB, so this many bytes cost 32 MiB.
constexpr uint64_t kSpareAddresses = 16ULL << 30;

[[noreturn]] void GiveUp(const std::string& why) {
  const std::string text = fmt::format("postern: a spare cannot start: {}\n", why);
  if (::write(channel::kStderr, text.data(), text.size()) < 0) ::_exit(kExitCannotRun);
  ::_exit(kExitCannotRun);
}

void Must(const Status& status) {
  if (!status) GiveUp(status.error().message);
}

void PlaceDescriptors(std::vector<UniqueFd>& fds) {
  // Out of the way first: a descriptor must not be overwritten before it is moved.
  std::vector<int> high;
  for (UniqueFd& fd : fds) high.push_back(::fcntl(fd.get(), F_DUPFD, 64));
  for (size_t i = 0; i < high.size(); ++i) {
    if (high[i] < 0 || ::dup2(high[i], static_cast<int>(i)) < 0) GiveUp("descriptors");
  }
  for (UniqueFd& fd : fds) fd.release();
  std::vector<int> keep;
  for (int fd = 0; fd < channel::kSpareFdCount; ++fd) keep.push_back(fd);
  Must(sandbox::CloseAllBut(keep));
}

void LockDown(const ZygoteOptions& options) {
  Must(sandbox::DieWithParent());
  Must(
      sandbox::LimitTo(RLIMIT_NOFILE, channel::kSpareFdCount));  // poll() checks the highest number
  Must(sandbox::LimitTo(RLIMIT_NPROC, 0));
  Must(sandbox::LimitTo(RLIMIT_FSIZE, 0));
  Must(sandbox::LimitTo(RLIMIT_MEMLOCK, 0));
  Must(sandbox::InstallSeccomp(options.jitless ? "guest-jitless" : "guest", options.seccomp));
}

// The order's pipe stays: signals come on it.
std::string ReadOrder() {
  std::string bytes;
  char buffer[4096];  // most orders are small, and each page of it is one more for the guest
  while (bytes.empty() || bytes.size() < channel::GuestOrder::SizeOf(bytes)) {
    const ssize_t n =
        Uninterrupted([&] { return ::read(channel::kOrderFd, buffer, sizeof buffer); });
    if (n < 0) GiveUp("the order cannot be read");
    if (n == 0) break;
    bytes.append(buffer, static_cast<size_t>(n));
  }
  if (bytes.empty()) ::_exit(0);  // never ordered: the supervisor has no more work
  return bytes;
}

}  // namespace

void BecomeSpare(GuestProgram& program, const ZygoteOptions& options, std::vector<UniqueFd> fds,
                 bool warm) {
  PlaceDescriptors(fds);
  LockDown(options);
  if (warm) program.Warm();
  auto order = channel::GuestOrder::Decode(ReadOrder());
  if (!order) GiveUp(order.error().message);
  Must(sandbox::LimitTo(
      RLIMIT_DATA,
      options.data_bytes + static_cast<uint64_t>(order->memory + channel::kMemorySlack)));
  Must(sandbox::LimitTo(
      RLIMIT_AS, options.address_bytes + static_cast<uint64_t>(order->memory) + kSpareAddresses));
  // In whole seconds and only the wall behind: the supervisor's clock is finer.
  if (order->cpu_ms > 0)
    Must(sandbox::LimitTo(RLIMIT_CPU, static_cast<uint64_t>(order->cpu_ms + 1999) / 1000));
  program.Run(*std::move(order));
  __builtin_unreachable();  // g++ does not believe a virtual function
}

}  // namespace postern::worker
