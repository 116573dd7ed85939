// Runs N guests, one after the other, through one zygote, and reports as JSON what that took and
// what it left behind. With CODE, each guest runs that, and what it returned is in the report.
//
//   zygote_runs N [CODE]
#include <dirent.h>
#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/by_type.h"
#include "channel/guest_order.h"
#include "channel/spare_fds.h"
#include "run_api/outcome.h"
#include "supervisor/programs.h"
#include "supervisor/read_result.h"

namespace postern::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWarmUp = 20;  // runs before the zygote is first looked at

double Micros(Clock::duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

struct State {
  int descriptors = 0, children = 0;
  long resident_kib = 0;
};

State Look(pid_t pid) {
  State s;
  const std::string base = "/proc/" + std::to_string(pid);
  if (DIR* dir = ::opendir((base + "/fd").c_str())) {
    while (::readdir(dir) != nullptr) ++s.descriptors;
    ::closedir(dir);
  }
  std::ifstream children(base + "/task/" + std::to_string(pid) + "/children");
  for (int child; children >> child;) ++s.children;
  std::ifstream status(base + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) s.resident_kib = std::atol(line.c_str() + 6);
  }
  return s;
}

// Memory that is the process's alone: what it has written. (A page of a file that only it has
// touched so far is the page cache's.)
double PrivateKib(pid_t pid) {
  std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
  double total = 0;
  for (std::string line; std::getline(rollup, line);) {
    if (line.starts_with("Private_Dirty:")) total += std::atof(line.c_str() + 14);
  }
  return total;
}

class Runs {
 public:
  Runs(int count, const char* code) : count_(count), code_(code) {}

  int Go() {
    auto child = supervisor::ChildProcess::Start(
        io_, supervisor::WorkerProgram({}),
        {[this](channel::ReceivedControl m) { OnMessage(std::move(m)); },
         [this] { Fail("the zygote ended"); }});
    if (!child) return std::fprintf(stderr, "zygote_runs: %s\n", child.error().message.c_str()), 1;
    child_ = *std::move(child);
    channel::GuestOrder order;
    order.eval = true;
    order.url = "file:///[eval]";
    order.source = code_ != nullptr ? code_ : "__return(6 * 7)";
    order_ = order.Encode();
    io_.run();
    if (!failed_.empty()) return std::fprintf(stderr, "zygote_runs: %s\n", failed_.c_str()), 1;
    const auto at = [](std::vector<double>& v, double q) {
      std::sort(v.begin(), v.end());
      return v[static_cast<size_t>(q * static_cast<double>(v.size() - 1))];
    };
    nlohmann::json report = {
        {"runs", count_},
        {"spareUs", {{"p50", at(making_, .5)}, {"p99", at(making_, .99)}}},
        {"orderToResultUs", {{"p50", at(answering_, .5)}, {"p99", at(answering_, .99)}}},
        {"idlePrivateKiB", at(private_kib_, .5)},
        {"descriptors", {before_.descriptors, after_.descriptors}},
        {"children", {before_.children, after_.children}},
        {"residentKiB", {before_.resident_kib, after_.resident_kib}}};
    if (code_ != nullptr) report["values"] = values_;
    std::printf("%s\n", report.dump().c_str());
    return 0;
  }

 private:
  void Fail(const std::string& why) {
    failed_ = why;
    io_.stop();
  }

  void Next() {
    if (done_ == kWarmUp) before_ = Look(zygote_);
    if (done_ == count_ + kWarmUp) {
      after_ = Look(zygote_);
      io_.stop();
      return;
    }
    asked_ = Clock::now();
    if (!child_->Send(channel::ForkSpare{.spare = static_cast<uint64_t>(++done_)}))
      Fail("the zygote takes no order");
  }

  void OnMessage(channel::ReceivedControl received) {
    std::visit(ByType{
                   [&](const channel::Ready&) {
                     zygote_ = supervisor::PidOf(child_->inner());
                     Next();
                   },
                   [&](const channel::StartFailed& failed) { Fail(failed.reason); },
                   [&](const channel::SpareMade&) {
                     making_.push_back(Micros(Clock::now() - asked_));
                     RunOne(received.fds);
                   },
                   [&](const channel::SpareFailed& failed) { Fail(failed.reason); },
                   [&](const channel::SpareExited& exited) {
                     if (exited.exit.wait_status == 0) return Next();
                     Fail("a guest ended with status " + std::to_string(exited.exit.wait_status));
                   },
                   [&](const auto&) { Fail("the zygote says what no zygote does"); },
               },
               received.message);
  }

  // Waits until the spare is warm (it then sleeps on its order), then times order to result.
  void RunOne(std::vector<UniqueFd>& fds) {
    AwaitSleep(supervisor::PidOf(fds.back().get()));
    private_kib_.push_back(PrivateKib(supervisor::PidOf(fds.back().get())));
    const auto begun = Clock::now();
    UniqueFd& order = fds[channel::kOrderFd];
    if (::write(order.get(), order_.data(), order_.size()) != static_cast<ssize_t>(order_.size()))
      return Fail("the order does not fit");
    order.reset();
    std::string result;
    char buffer[4096];
    ssize_t n = ::read(fds[channel::kResultFd].get(), buffer, sizeof buffer);
    answering_.push_back(Micros(Clock::now() - begun));
    for (; n > 0; n = ::read(fds[channel::kResultFd].get(), buffer, sizeof buffer)) {
      result.append(buffer, static_cast<size_t>(n));
    }
    run_api::Outcome outcome;
    const auto complete = supervisor::ReadResult(result, outcome);
    if (!complete || !*complete || outcome.value.empty()) return Fail("a guest gave no result");
    values_.push_back(nlohmann::json::parse(outcome.value));
  }

  static void AwaitSleep(pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/stat";
    for (const auto until = Clock::now() + std::chrono::seconds(1); Clock::now() < until;) {
      std::ifstream stat(path);
      std::string line;
      std::getline(stat, line);
      const size_t name = line.rfind(')');
      if (name != std::string::npos && name + 2 < line.size() && line[name + 2] == 'S') return;
    }
  }

  const int count_;
  const char* const code_;
  nlohmann::json values_;
  int done_ = 0;
  boost::asio::io_context io_{1};
  std::unique_ptr<supervisor::ChildProcess> child_;
  std::string order_, failed_;
  pid_t zygote_ = 0;
  Clock::time_point asked_;
  std::vector<double> making_, answering_, private_kib_;
  State before_, after_;
};

}  // namespace
}  // namespace postern::bench

int main(int argc, char** argv) try {
  if (argc < 2 || argc > 3 || std::atoi(argv[1]) < 1)
    return std::fprintf(stderr, "usage: zygote_runs N [CODE]\n"), 2;
  return postern::bench::Runs(std::atoi(argv[1]), argv[2]).Go();
} catch (const std::exception& e) {
  std::fprintf(stderr, "zygote_runs: %s\n", e.what());
  return 1;
}
