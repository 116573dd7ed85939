#include "worker/guest/signal_reader.h"

#include <poll.h>
#include <unistd.h>

#include "base/eintr.h"
#include "channel/spare_fds.h"
#include "worker/guest/result_pipe.h"

namespace postern::worker {

void SignalReader::Listen(int signal) {
  const char number = static_cast<char>(signal);
  if (heard_.find(number) != std::string::npos) return;
  heard_ += number;
  SayToSupervisor(channel::ResultTag::kHearsSignal, {&number, 1});
}

void SignalReader::WaitSet(const std::function<void(int, short)>& want) {
  if (!heard_.empty()) want(channel::kOrderFd, POLLIN);
}

void SignalReader::OnReady(const std::function<short(int)>& ready, double /*waited*/) {
  if (heard_.empty() || (ready(channel::kOrderFd) & POLLIN) == 0) return;
  char number = 0;
  const ssize_t n = Uninterrupted([&] { return ::read(channel::kOrderFd, &number, 1); });
  if (n == 1) give_(number);
}

}  // namespace postern::worker
