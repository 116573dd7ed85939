// inject: runs a command and decides, from outside, what becomes of system calls in it and in every
// process that it starts, by seccomp's user notification: nothing in the programs under test knows
// of it, and their own filters still hold.
//
//   inject --report=FILE [--role=R] --call=NAME[,NAME…]|all [--nth=N]
//          [--error=ERRNO | --signal=SIG [--resume-after=MS]] -- COMMAND…
//
// The N-th such call of the first process of role R (without --nth: every one, of every such
// process) fails with ERRNO, or SIG is sent to its process before the call goes on; SIGCONT follows
// when nothing was heard of any process for MS milliseconds. FILE receives, as JSON, how often each
// role made each call, the pids of each role, and whether the fault was injected: {"calls": {role:
// {name: n}}, "pids": {role: [pid]}, "injected": n, "stray": n}; "stray" counts kill(2) of a group
// or of everybody, which is always looked at and never let through.
//
// Roles: supervisor, worker, zygote, guest, broker-net, broker-files, log; a launcher that waits
// for a broker in its pid namespace is broker-net-launcher and so on; what was forked and has not
// yet called exec is supervisor-fork.
#include <fcntl.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Options {
  std::string report, role;
  std::vector<std::string> calls;
  long nth = 0;  // 0: every one
  int error = 0, signal = 0;
  int resume_after_ms = 0;  // 0: never
  char** command = nullptr;
};

[[noreturn]] void Fail(const std::string& why) {
  std::fprintf(stderr, "inject: %s\n", why.c_str());
  std::exit(2);
}

// The number behind "EAGAIN" or "SIGKILL", by asking the C library for each number's name.
int Number(const std::string& name, const char* (*name_of)(int)) {
  for (int i = 1; i < 200; ++i) {
    if (const char* text = name_of(i); text != nullptr && name == text) return i;
  }
  Fail("what is " + name + "?");
}

Options Parse(int argc, char** argv) {
  Options o;
  int i = 1;
  for (; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
    const std::string word = argv[i];
    const size_t eq = word.find('=');
    const std::string name = word.substr(0, eq);
    const std::string value = eq == std::string::npos ? "" : word.substr(eq + 1);
    if (name == "--report") {
      o.report = value;
    } else if (name == "--role") {
      o.role = value;
    } else if (name == "--nth") {
      o.nth = std::atol(value.c_str());
    } else if (name == "--error") {
      o.error = Number(value, [](int n) { return ::strerrorname_np(n); });
    } else if (name == "--signal") {
      o.signal = Number(value.substr(3), [](int n) { return ::sigabbrev_np(n); });
    } else if (name == "--resume-after") {
      o.resume_after_ms = std::atoi(value.c_str());
    } else if (name == "--call") {
      std::istringstream list(value);
      for (std::string call; std::getline(list, call, ',');) o.calls.push_back(call);
    } else {
      Fail("unknown option " + word);
    }
  }
  if (i + 1 >= argc || o.calls.empty() || o.report.empty()) Fail("see the head of inject.cc");
  o.command = argv + i + 1;
  return o;
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

int ParentOf(int pid) {
  const std::string stat = ReadAll("/proc/" + std::to_string(pid) + "/stat");
  const size_t name = stat.rfind(')');
  return name == std::string::npos ? 0 : std::atoi(stat.c_str() + name + 4);
}

std::string CommandLine(int pid) { return ReadAll("/proc/" + std::to_string(pid) + "/cmdline"); }

std::string RoleOf(int pid) {
  const std::string line = CommandLine(pid);
  int depth = 0;  // how many ancestors have the same command line
  for (int p = ParentOf(pid); p > 1 && CommandLine(p) == line; p = ParentOf(p)) ++depth;
  const auto has = [&](const char* word) {
    return line.find(std::string(1, '\0') + word + std::string(1, '\0')) != std::string::npos;
  };
  if (line.find("--report=") != std::string::npos) return "inject";
  if (has("--postern-worker")) return depth == 0 ? "worker" : depth == 1 ? "zygote" : "guest";
  for (const char* role : {"net", "files", "log"}) {
    if (line.find("postern-broker") == std::string::npos || !has(role)) continue;
    const std::string name = std::strcmp(role, "log") == 0 ? "log" : std::string("broker-") + role;
    return depth == 0 ? name + "-launcher" : name;
  }
  return depth == 0 ? "supervisor" : "supervisor-fork";
}

constexpr int kTaken = -2;

// In the child: the filter, whose listener's number the parent is told in shared memory.
[[noreturn]] void Start(const Options& o, std::atomic<int>* listener) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const bool all = o.calls[0] == "all";
  scmp_filter_ctx filter = ::seccomp_init(all ? SCMP_ACT_NOTIFY : SCMP_ACT_ALLOW);
  for (const std::string& call : o.calls) {
    if (all) break;
    const int number = ::seccomp_syscall_resolve_name(call.c_str());
    if (number == __NR_SCMP_ERROR) Fail("there is no call " + call);
    if (::seccomp_rule_add(filter, SCMP_ACT_NOTIFY, number, 0) != 0) Fail("cannot add a rule");
  }
  // Always looked at: a bug that made it kill(-1) would end everything here, tests included.
  if (!all && ::seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SYS_kill, 0) != 0)
    Fail("cannot add a rule");
  ::seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
  if (::seccomp_load(filter) != 0) Fail("cannot load the filter");
  *listener = ::seccomp_notify_fd(filter);
  // exec closes it; and any call that this waited by might be one that nobody answers yet.
  while (*listener != kTaken) {
  }
  ::execvp(o.command[0], o.command);
  ::_exit(127);
}

class Injector {
 public:
  Injector(const Options& options, int listener) : o_(options), listener_(listener) {
    if (::seccomp_notify_alloc(&request_, &response_) != 0) Fail("cannot make a notification");
  }

  // One notification, if there is one.
  void Serve() {
    std::memset(request_, 0, sizeof *request_);
    if (::seccomp_notify_receive(listener_, request_) != 0) return;  // its process is gone
    const int pid = static_cast<int>(request_->pid);
    const std::string& role = Role(pid);
    const int number = request_->data.nr;
    if (number == SYS_kill && IsStray(static_cast<int>(request_->data.args[0]))) {
      std::fprintf(stderr, "inject: %s wanted to signal %d\n", role.c_str(),
                   static_cast<int>(request_->data.args[0]));
      ++stray_;
      return Answer(EPERM);
    }
    if (number == SYS_kill && !asked_for_kill_) return Answer(0);
    ++calls_[role][number];
    if (role == o_.role) ++seen_;
    const bool hit = (o_.error != 0 || o_.signal != 0) && (o_.role.empty() || role == o_.role) &&
                     (o_.nth == 0 || (seen_ == o_.nth && injected_ == 0));
    if (hit) ++injected_;
    if (hit && o_.signal != 0) {
      ::kill(pid, o_.signal);
      signalled_ = pid;
    }
    Answer(hit ? o_.error : 0);
  }

  // The process that got the signal, once; 0 for none.
  pid_t TakeSignalled() { return std::exchange(signalled_, 0); }

  std::string Report() const {
    nlohmann::json calls = nlohmann::json::object();
    for (const auto& [role, numbers] : calls_) {
      for (const auto& [number, count] : numbers) {
        char* name = ::seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
        calls[role][name != nullptr ? name : std::to_string(number)] = count;
        std::free(name);
      }
    }
    return nlohmann::json{
        {"calls", calls}, {"pids", pids_}, {"injected", injected_}, {"stray", stray_}}
        .dump();
  }

 private:
  // kill(2): 0 is the caller's own group, -1 everybody.
  static bool IsStray(int pid) { return pid == 0 || pid == -1; }

  // 0: the call goes on.
  void Answer(int error) {
    response_->id = request_->id;
    response_->val = 0;
    response_->error = -error;
    response_->flags = error == 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
    ::seccomp_notify_respond(listener_, response_);  // fails where a signal has ended the call
  }

  // Found anew while a process may still call exec.
  const std::string& Role(int pid) {
    std::string& role = roles_[pid];
    if (role.empty() || role == "supervisor-fork" || role == "inject") {
      role = RoleOf(pid);
      pids_[role].insert(pid);
    }
    return role;
  }

  const Options& o_;
  const bool asked_for_kill_ = std::any_of(o_.calls.begin(), o_.calls.end(), [](const auto& call) {
    return call == "all" || call == "kill";
  });
  const int listener_;
  seccomp_notif* request_ = nullptr;
  seccomp_notif_resp* response_ = nullptr;
  pid_t signalled_ = 0;
  std::map<int, std::string> roles_;
  std::map<std::string, std::map<int, long>> calls_;
  std::map<std::string, std::set<int>> pids_;
  long seen_ = 0, injected_ = 0, stray_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  auto* shared = static_cast<std::atomic<int>*>(::mmap(nullptr, sizeof(std::atomic<int>),
                                                       PROT_READ | PROT_WRITE,
                                                       MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  *shared = -1;
  const pid_t child = ::fork();
  if (child == 0) Start(options, shared);
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  pollfd ended{pidfd, POLLIN, 0};
  while (*shared == -1 && ::poll(&ended, 1, 1) == 0) {
  }
  const int listener = static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, shared->load(), 0));
  if (listener < 0) Fail(std::string("cannot get the listener: ") + std::strerror(errno));
  *shared = kTaken;
  Injector injector(options, listener);
  // Until the command and all that it started are gone: the listener then hangs up.
  pid_t stopped = 0;
  for (bool command_over = false;;) {
    pollfd fds[] = {{listener, POLLIN, 0}, {pidfd, POLLIN, 0}};
    const int wait_ms = stopped != 0 ? options.resume_after_ms : -1;
    if (::poll(fds, command_over ? 1 : 2, wait_ms) == 0) ::kill(std::exchange(stopped, 0), SIGCONT);
    if ((fds[0].revents & POLLIN) != 0) injector.Serve();
    if (options.resume_after_ms > 0 && stopped == 0) stopped = injector.TakeSignalled();
    if ((fds[0].revents & POLLHUP) != 0) break;
    command_over = command_over || fds[1].revents != 0;
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  std::ofstream(options.report) << injector.Report();
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
