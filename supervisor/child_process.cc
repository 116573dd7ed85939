#include "supervisor/child_process.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <boost/process.hpp>
#include <boost/process/extend.hpp>
#include <cstdlib>
#include <fstream>
#include <set>

#include "base/eintr.h"
#include "base/format.h"

namespace postern::supervisor {
namespace {

namespace bp = boost::process;

std::set<pid_t> g_pids;  // of the children that live

constexpr int kGoneWithinMs = 5'000;

// Moves descriptors to 3, 4, … in the child; everything else is close-on-exec, and closed once
// more.
struct PassDescriptors : bp::extend::handler {
  explicit PassDescriptors(std::vector<int> list) : fds(std::move(list)) {}
  template <typename Executor>
  void on_exec_setup(Executor&) const {
    std::vector<int> high;
    // Out of the way first, and no higher than needed: the limit may be low.
    for (const int fd : fds) high.push_back(::fcntl(fd, F_DUPFD, static_cast<int>(fds.size()) + 3));
    for (size_t i = 0; i < high.size(); ++i) ::dup2(high[i], static_cast<int>(i) + 3);
    // Close-on-exec, not closed: Boost.Process still has to report a failing exec on a pipe of its
    // own.
    ::syscall(SYS_close_range, static_cast<unsigned>(fds.size()) + 3, ~0U,
              4U /* CLOSE_RANGE_CLOEXEC */);
  }
  std::vector<int> fds;
};

}  // namespace

pid_t PidOf(int pidfd) {
  std::ifstream info(fmt::format("/proc/self/fdinfo/{}", pidfd));
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("Pid:")) return std::atoi(line.c_str() + 4);
  }
  return 0;
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::Start(boost::asio::io_context& io,
                                                          const Program& program,
                                                          Callbacks events) {
  auto pair = channel::MakeControlPair();
  if (!pair) return pair.error();
  std::vector<int> fds = {pair->second.get()};
  fds.insert(fds.end(), program.inherited.begin(), program.inherited.end());
  bp::environment environment;
  for (const auto& [name, value] : program.environment) environment[name] = value;
  std::error_code error;
  bp::child process(bp::exe = program.executable, bp::args = program.arguments, environment,
                    bp::std_in<bp::null, bp::std_out> bp::null, error, PassDescriptors(fds));
  if (error)
    return Error{fmt::format("cannot start {}: {}", program.executable, error.message()),
                 error.value()};
  // Boost.Process reports no error where it cannot make its own pipe: there is just no process.
  if (!process.valid()) return SystemError(fmt::format("cannot start {}", program.executable));
  const pid_t pid = process.id();
  process.detach();  // reaped by ~ChildProcess
  return std::unique_ptr<ChildProcess>(
      new ChildProcess(io, pid, std::move(pair->first), std::move(events)));
}

ChildProcess::ChildProcess(boost::asio::io_context& io, pid_t pid, UniqueFd control,
                           Callbacks events)
    : pid_(pid),
      control_(io, control.release()),
      outbox_(control_.native_handle()),
      events_(std::move(events)) {
  g_pids.insert(pid_);
  Listen();
}

ChildProcess::~ChildProcess() {
  owner_.Leave();
  // First what it is, which then forks no more; then the session that it made, with whatever it
  // forked: that may be too young to end with its parent.
  ::kill(pid_, SIGKILL);
  ::kill(-pid_, SIGKILL);
  Uninterrupted([&] { return ::waitpid(pid_, nullptr, 0); });
  g_pids.erase(pid_);
  pollfd end{control_.native_handle(), POLLIN, 0};
  while (Uninterrupted([&] { return ::poll(&end, 1, kGoneWithinMs); }) > 0) {
    const auto left = channel::ReceiveControl(control_.native_handle());
    if (!left || !*left) break;
  }
  // A process closes its descriptors before those of its pid namespace are ended with it; by then
  // it has a status.
  pollfd gone{inner_.get(), POLLIN, 0};
  if (inner_.valid()) Uninterrupted([&] { return ::poll(&gone, 1, kGoneWithinMs); });
}

bool ChildProcess::IsOurs(pid_t pid) { return g_pids.contains(pid); }

Status ChildProcess::Send(const channel::ControlMessage& message, const std::vector<int>& fds) {
  Status sent = outbox_.Send(message, fds);
  if (!outbox_.empty()) SendWaiting();
  return sent;
}

void ChildProcess::SendWaiting() {
  if (std::exchange(sending_, true)) return;
  control_.async_wait(boost::asio::posix::stream_descriptor::wait_write,
                      owner_.WhileHere([this](const boost::system::error_code& error) {
                        if (error) return;
                        sending_ = false;
                        // Where the other side is gone, Listen hears of it.
                        if (outbox_.Flush() && !outbox_.empty()) SendWaiting();
                      }));
}

void ChildProcess::Listen() {
  control_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      owner_.WhileHere([this](const boost::system::error_code& error) {
                        if (!error) OnReadable();
                      }));
}

void ChildProcess::OnReadable() {
  auto received = channel::ReceiveControl(control_.native_handle());
  // Asio may wake this for what it had still to say of another descriptor that is closed.
  if (!received && received.error().errnum == EAGAIN) return Listen();
  if (!received || !*received) return events_.gone();
  auto& [message, fds, lost_fds] = **received;
  if (std::holds_alternative<channel::Ready>(message) && !fds.empty()) inner_ = std::move(fds[0]);
  const loop::Owner::Watch watch = owner_.watch();
  events_.message(std::move(**received));
  if (!watch.gone()) Listen();
}

}  // namespace postern::supervisor
