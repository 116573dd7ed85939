#include "worker/guest/stdin_reader.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "base/eintr.h"
#include "channel/spare_fds.h"
#include "worker/guest/result_pipe.h"

namespace postern::worker {
namespace {

constexpr size_t kPieceBytes = 64 * 1024;

}  // namespace

// The supervisor takes nothing from its user for a guest that reads nothing.
void StdinReader::SendReadsStdin() {
  if (std::exchange(asked_, true)) return;
  SayToSupervisor(channel::ResultTag::kReadsStdin, {});
}

void StdinReader::Request(size_t most, bool keeps_going) {
  wanted_ = most;
  keeps_going_ = keeps_going;
  if (most > 0) SendReadsStdin();
}

std::string StdinReader::ReadNow(size_t most) {
  SendReadsStdin();
  std::string piece(std::min(most, kPieceBytes), '\0');
  const ssize_t n =
      Uninterrupted([&] { return ::read(channel::kStdin, piece.data(), piece.size()); });
  piece.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
  return piece;
}

void StdinReader::WaitSet(const std::function<void(int, short)>& want) {
  if (wanted_ > 0) want(channel::kStdin, POLLIN);
}

void StdinReader::OnReady(const std::function<short(int)>& ready, double /*waited*/) {
  if (wanted_ == 0 || ready(channel::kStdin) == 0) return;
  give_(ReadNow(std::exchange(wanted_, 0)));
}

}  // namespace postern::worker
