// Runs guests through a pool of spares, several at a time, and reports as JSON how they ended and
// how many zygotes that took.
//
//   pool_runs GUESTS AT_A_TIME GUESTS_PER_ZYGOTE CODE…
//
// The guests run CODE in turn; for "!crash" the guest loops and gets SIGSEGV, for "!limit" it is
// killed as a limit would, for "!zygote" its zygote is killed. What a guest returned is in
// "values", null where it returned nothing.
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>

#include "channel/guest_order.h"
#include "channel/spare_fds.h"
#include "run_api/outcome.h"
#include "supervisor/programs.h"
#include "supervisor/read_result.h"
#include "supervisor/spare_pool.h"

namespace postern::bench {
namespace {

pid_t ParentOf(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("PPid:")) return std::atoi(line.c_str() + 5);
  }
  return 0;
}

class PoolRuns {
 public:
  PoolRuns(int guests, int at_a_time, uint64_t per_zygote, std::vector<std::string> codes)
      : guests_(guests),
        at_a_time_(at_a_time),
        codes_(std::move(codes)),
        pool_(io_, {.program = supervisor::WorkerProgram({}),
                    .spares = 2,
                    .guests_per_zygote = per_zygote}) {}

  int Go() {
    if (const Status s = pool_.Start(); !s)
      return std::fprintf(stderr, "pool_runs: %s\n", s.error().message.c_str()), 1;
    for (int i = 0; i < at_a_time_; ++i) Next();
    while (running_ > 0) io_.run_one();
    const nlohmann::json report = {{"values", values_},
                                   {"signals", signals_},
                                   {"lost", lost_},
                                   {"errors", errors_},
                                   {"zygotes", pool_.zygotes_started()},
                                   {"left", pool_.zygotes()}};
    std::printf("%s\n", report.dump().c_str());
    return 0;
  }

 private:
  void Next() {
    if (begun_ == guests_) return;
    const std::string& code = codes_[static_cast<size_t>(begun_++) % codes_.size()];
    ++running_;
    auto result = std::make_shared<UniqueFd>();
    pool_.Acquire(
        [this, &code, result](Result<supervisor::SparePool::WarmSpare> guest) {
          if (!guest) {
            errors_.push_back(guest.error().message);
            --running_;
            return Next();
          }
          *result = std::move(guest->fds[channel::kResultFd]);
          channel::GuestOrder order;
          order.eval = true;
          order.url = "file:///[eval]";
          order.source = code.starts_with('!') ? "for (;;);" : code;
          const std::string bytes = order.Encode();
          UniqueFd& pipe = guest->fds[channel::kOrderFd];
          if (::write(pipe.get(), bytes.data(), bytes.size()) < 0)
            errors_.push_back("the order does not arrive");
          pipe.reset();
          if (code == "!limit") pool_.ExpectKill(guest->id);
          if (code == "!limit" || code == "!crash")
            ::syscall(SYS_pidfd_send_signal, guest->pidfd.get(),
                      code == "!limit" ? SIGKILL : SIGSEGV, nullptr, 0);
          if (code == "!zygote") ::kill(ParentOf(supervisor::PidOf(guest->pidfd.get())), SIGKILL);
        },
        [this, result](const ProcessExit& end) {
          Count(end, result->get());
          --running_;
          Next();
        });
  }

  // The guest is gone: all that it wrote is in the pipe.
  void Count(const ProcessExit& end, int result) {
    if (end.lost) ++lost_;
    if (WIFSIGNALED(end.wait_status)) signals_.push_back(WTERMSIG(end.wait_status));
    std::string bytes;
    char buffer[4096];
    for (ssize_t n; (n = ::read(result, buffer, sizeof buffer)) > 0;)
      bytes.append(buffer, static_cast<size_t>(n));
    run_api::Outcome outcome;
    const bool complete = supervisor::ReadResult(bytes, outcome).ok() && !outcome.value.empty();
    values_.push_back(complete ? nlohmann::json::parse(outcome.value) : nlohmann::json());
  }

  const int guests_, at_a_time_;
  const std::vector<std::string> codes_;
  boost::asio::io_context io_{1};
  supervisor::SparePool pool_;
  int begun_ = 0, running_ = 0, lost_ = 0;
  nlohmann::json values_ = nlohmann::json::array(), signals_ = nlohmann::json::array(),
                 errors_ = nlohmann::json::array();
};

}  // namespace
}  // namespace postern::bench

int main(int argc, char** argv) try {
  if (argc < 5) {
    std::fprintf(stderr, "usage: pool_runs GUESTS AT_A_TIME GUESTS_PER_ZYGOTE CODE…\n");
    return 2;
  }
  return postern::bench::PoolRuns(std::atoi(argv[1]), std::atoi(argv[2]),
                                  std::strtoull(argv[3], nullptr, 10), {argv + 4, argv + argc})
      .Go();
} catch (const std::exception& e) {
  std::fprintf(stderr, "pool_runs: %s\n", e.what());
  return 1;
}
