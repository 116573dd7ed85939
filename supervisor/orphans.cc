#include "supervisor/orphans.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/eintr.h"
#include "supervisor/child_process.h"

namespace postern::supervisor {

Orphans::Orphans(boost::asio::io_context& io) : ended_(io) {
  if (::getpid() != 1) return;
  ended_.add(SIGCHLD);
  Await();
}

void Orphans::Await() {
  ended_.async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    Reap();
    Await();
  });
}

void Orphans::Reap() {
  for (;;) {
    siginfo_t who{};
    const int found =
        Uninterrupted([&] { return ::waitid(P_ALL, 0, &who, WEXITED | WNOHANG | WNOWAIT); });
    // Our own children are waited for by those who started them, and stand in the way until then.
    if (found != 0 || who.si_pid == 0 || ChildProcess::IsOurs(who.si_pid)) return;
    ::waitpid(who.si_pid, nullptr, WNOHANG);
  }
}

}  // namespace postern::supervisor
