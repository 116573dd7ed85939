// Every file of seccomp-policies/, every system call: what the file says (read here by a model of
// its own) is what the compiled filter answers as a pure function, and what a real process sees.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "sandbox/bpf_evaluator.h"
#include "sandbox/process.h"
#include "sandbox/seccomp.h"

namespace postern::sandbox {
namespace {

using nlohmann::json;
using Args = std::array<uint64_t, 6>;

constexpr int kNumbers = 600;  // 0 to 600
constexpr uint32_t kX32 = 0x4000'0000;
constexpr uint64_t kAll = ~uint64_t{0};

struct Restriction {
  unsigned index;
  std::string op;
  uint64_t value;      // as in the file: for MASKED_EQ the mask
  uint64_t value_two;  // for MASKED_EQ the value

  bool Holds(uint64_t arg) const {
    if (op == "SCMP_CMP_EQ") return arg == value;
    if (op == "SCMP_CMP_NE") return arg != value;
    if (op == "SCMP_CMP_LT") return arg < value;
    if (op == "SCMP_CMP_LE") return arg <= value;
    if (op == "SCMP_CMP_GE") return arg >= value;
    if (op == "SCMP_CMP_GT") return arg > value;
    if (op == "SCMP_CMP_MASKED_EQ") return (arg & value) == value_two;
    ADD_FAILURE() << "unknown comparison " << op;
    return false;
  }
  uint64_t Satisfying() const {
    for (const uint64_t v : {value, value - 1, value + 1, value_two}) {
      if (Holds(v)) return v;
    }
    ADD_FAILURE() << "nothing satisfies " << op << " " << value;
    return 0;
  }
  std::vector<uint64_t> Edges() const {
    std::vector<uint64_t> edges = {0,         kAll,      value,         value - 1,
                                   value + 1, value_two, value_two - 1, value_two + 1};
    for (int bit = 0; bit < 64; ++bit) edges.push_back(Satisfying() ^ (uint64_t{1} << bit));
    return edges;
  }
};

struct Rule {
  uint32_t action;
  std::vector<Restriction> restrictions;

  bool Holds(const Args& args) const {
    return std::all_of(restrictions.begin(), restrictions.end(),
                       [&](const Restriction& r) { return r.Holds(args[r.index]); });
  }
  Args Satisfying(uint64_t others) const {
    Args args;
    args.fill(others);
    for (const Restriction& r : restrictions) args[r.index] = r.Satisfying();
    return args;
  }
};

class Policy {
 public:
  explicit Policy(const std::filesystem::path& file) : name(file.stem()) {
    const json text = json::parse(std::ifstream(file));
    EXPECT_EQ(text.at("defaultAction"), "SCMP_ACT_KILL_PROCESS");
    std::map<std::string, int> numbers;
    for (int nr = 0; nr <= kNumbers; ++nr) numbers[std::string(SyscallName(nr))] = nr;
    for (const json& rule : text.at("syscalls")) {
      Rule made{rule.at("action") == "SCMP_ACT_ALLOW"
                    ? SECCOMP_RET_ALLOW
                    : SECCOMP_RET_ERRNO | rule.at("errnoRet").get<uint32_t>(),
                {}};
      for (const json& a : rule.value("args", json::array())) {
        made.restrictions.push_back(
            {a.at("index"), a.at("op"), a.at("value"), a.value("valueTwo", uint64_t{0})});
      }
      for (const std::string call : rule.at("names")) {
        EXPECT_TRUE(numbers.contains(call)) << call;
        rules[numbers[call]].push_back(made);
        order.push_back(numbers[call]);
      }
    }
  }

  uint32_t Expected(int nr, const Args& args) const {
    const auto found = rules.find(nr);
    if (found != rules.end()) {
      for (const Rule& rule : found->second) {
        if (rule.Holds(args)) return rule.action;
      }
    }
    return SECCOMP_RET_KILL_PROCESS;
  }

  uint32_t Answers(uint32_t nr, const Args& args, uint32_t arch = AUDIT_ARCH_X86_64,
                   SeccompMode mode = SeccompMode::kKill) const {
    seccomp_data data{static_cast<int>(nr), arch, 0, {}};
    std::copy(args.begin(), args.end(), data.args);
    const BpfVerdict verdict = EvaluateBpf(SeccompProgram(name, mode), data);
    EXPECT_TRUE(verdict.valid) << name << " " << nr;
    return verdict.action;
  }

  // Argument vectors that matter for call `nr`.
  std::vector<Args> Edges(int nr) const {
    std::vector<Args> out(3);
    out[1].fill(kAll);
    out[2].fill(0x7fff'ffff);
    const auto found = rules.find(nr);
    if (found == rules.end()) return out;
    for (const Rule& rule : found->second) {
      for (const uint64_t others : {uint64_t{0}, kAll}) out.push_back(rule.Satisfying(others));
      for (const Restriction& r : rule.restrictions) {
        for (const uint64_t edge : r.Edges()) {
          out.push_back(rule.Satisfying(0));
          out.back()[r.index] = edge;
        }
      }
    }
    return out;
  }

  std::string name;
  std::map<int, std::vector<Rule>> rules;
  std::vector<int> order;  // of the calls in the file
};

class SeccompPolicy : public testing::TestWithParam<std::string> {
 protected:
  Policy policy_{std::filesystem::path(POSTERN_SOURCE_DIR "/seccomp-policies") /
                 (GetParam() + ".json")};
};

std::string Call(int nr, const Args& args) {
  std::string text = std::to_string(nr) + " " + std::string(SyscallName(nr));
  for (const uint64_t a : args) text += " " + std::to_string(a);
  return text;
}

TEST_P(SeccompPolicy, FilterAnswersWhatTheFileSays) {
  size_t cases = 0;
  for (int nr = 0; nr <= kNumbers; ++nr) {
    for (const Args& args : policy_.Edges(nr)) {
      const uint32_t expected = policy_.Expected(nr, args);
      ASSERT_EQ(policy_.Answers(nr, args), expected) << Call(nr, args);
      const bool killed = expected == SECCOMP_RET_KILL_PROCESS;
      ASSERT_EQ(policy_.Answers(nr, args, AUDIT_ARCH_X86_64, SeccompMode::kDebug),
                killed ? SECCOMP_RET_TRAP : expected)
          << Call(nr, args);
      ++cases;
    }
  }
  EXPECT_GT(cases, 3U * kNumbers);
}

TEST_P(SeccompPolicy, OtherArchitecturesAreKilled) {
  for (int nr = 0; nr <= kNumbers; ++nr) {
    for (const Args& args : policy_.Edges(nr)) {
      ASSERT_EQ(policy_.Answers(kX32 | static_cast<uint32_t>(nr), args), SECCOMP_RET_KILL_PROCESS);
      ASSERT_EQ(policy_.Answers(nr, args, AUDIT_ARCH_I386), SECCOMP_RET_KILL_PROCESS);
      ASSERT_EQ(policy_.Answers(nr, args, AUDIT_ARCH_AARCH64), SECCOMP_RET_KILL_PROCESS);
    }
  }
  for (const uint32_t nr : {0xffff'ffffU, 0x8000'0000U, 0x7fff'ffffU, kX32, 0x3fff'ffffU, 1000U}) {
    ASSERT_EQ(policy_.Answers(nr, {}), SECCOMP_RET_KILL_PROCESS) << nr;
  }
}

TEST_P(SeccompPolicy, WhatStandsFirstIsDecidedFirst) {
  size_t before = 0;
  for (size_t i = 0; i < policy_.order.size(); ++i) {
    const int nr = policy_.order[i];
    if (policy_.rules.at(nr).front().restrictions.size() != 0) continue;  // takes longer to tell
    const seccomp_data data{nr, AUDIT_ARCH_X86_64, 0, {}};
    const size_t took =
        EvaluateBpf(SeccompProgram(policy_.name, SeccompMode::kKill), data).instructions;
    EXPECT_GE(took, before) << SyscallName(nr);
    if (i < 3) {
      EXPECT_LE(took, 10U) << SyscallName(nr);
    }
    before = took;
  }
}

constexpr int kReturned = 7, kReturnedNoSys = 8, kFailed = 9;  // exit statuses

// The verdict that a process under the real filter sees.
enum class Seen { kKilled, kNoSys, kFailed, kReturned };

// Since Linux 6.15 the kernel lets these two pass every filter: they are how its own probes return.
// Called from anywhere else they do nothing but fail.
constexpr int kUretprobe = 335, kUprobe = 336;

Seen Observe(const std::string& policy, long nr, const Args& a) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    if (!Harden() || !InstallSeccomp(policy, SeccompMode::kKill)) ::_exit(1);
    const long rc = ::syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    ::syscall(SYS_exit_group, rc != -1 ? kReturned : errno == ENOSYS ? kReturnedNoSys : kFailed);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 1) ADD_FAILURE() << "the filter does not load";
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) return Seen::kKilled;
  if (WIFSIGNALED(status)) return Seen::kFailed;
  if (WEXITSTATUS(status) == kReturnedNoSys) return Seen::kNoSys;
  return WEXITSTATUS(status) == kFailed ? Seen::kFailed : Seen::kReturned;
}

TEST_P(SeccompPolicy, AProcessSeesTheSameVerdicts) {
  size_t allowed = 0;
  for (int nr = 0; nr <= kNumbers; ++nr) {
    // Arguments that no call can use: what is allowed fails, and harms nobody.
    std::vector<Args> vectors(1);
    vectors[0].fill(kAll);
    if (const auto found = policy_.rules.find(nr); found != policy_.rules.end()) {
      for (const Rule& rule : found->second) vectors.push_back(rule.Satisfying(kAll));
    }
    for (const Args& args : vectors) {
      const uint32_t expected = policy_.Expected(nr, args);
      const Seen seen = Observe(policy_.name, nr, args);
      if (nr == kUretprobe || nr == kUprobe) {
        EXPECT_NE(seen, Seen::kReturned) << Call(nr, args);
      } else if (expected == SECCOMP_RET_KILL_PROCESS) {
        EXPECT_EQ(seen, Seen::kKilled) << Call(nr, args);
      } else {
        EXPECT_NE(seen, Seen::kKilled) << Call(nr, args);
        if (expected == (SECCOMP_RET_ERRNO | ENOSYS)) {
          EXPECT_EQ(seen, Seen::kNoSys);
        }
        ++allowed;
      }
    }
    if (nr % 20 == 0) {
      EXPECT_EQ(Observe(policy_.name, static_cast<long>(kX32) | nr, vectors[0]), Seen::kKilled);
    }
  }
  EXPECT_GE(allowed, policy_.rules.size());
}

// getpid by the i386 entry, where the kernel has one.
int ByInt80() {
  long rc = 20;
  asm volatile("int $0x80" : "+a"(rc) : : "memory", "r8", "r9", "r10", "r11");
  return static_cast<int>(rc);
}

TEST_P(SeccompPolicy, I386CallsAreKilledForReal) {
  const pid_t control = ::fork();
  if (control == 0) ::_exit(ByInt80() == ::getpid() ? 0 : 1);
  int status = 0;
  ASSERT_EQ(::waitpid(control, &status, 0), control);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    GTEST_SKIP() << "this kernel has no i386 system calls: nothing to see";
  }
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (!Harden() || !InstallSeccomp(policy_.name, SeccompMode::kKill)) ::_exit(1);
    ByInt80();
    ::syscall(SYS_exit_group, kReturned);
  }
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) << status;
}

std::vector<std::string> Files() {
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::directory_iterator(POSTERN_SOURCE_DIR "/seccomp-policies")) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Files, SeccompPolicy, testing::ValuesIn(Files()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(GuestPolicy, HasFewCalls) {
  for (const char* name : {"guest", "guest-jitless"}) {
    const Policy policy(std::filesystem::path(POSTERN_SOURCE_DIR "/seccomp-policies") /
                        (std::string(name) + ".json"));
    EXPECT_LE(policy.rules.size(), 24U) << name;
  }
}

TEST(GuestPolicy, JitlessHasNoWayToExecutableMemory) {
  const Policy policy(POSTERN_SOURCE_DIR "/seccomp-policies/guest-jitless.json");
  // Every protection of eight bits, with everything else as the rules would have it.
  for (uint64_t prot = 0; prot < 256; ++prot) {
    const bool exec = (prot & PROT_EXEC) != 0;
    const auto verdict = exec ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ALLOW;
    EXPECT_EQ(policy.Answers(SYS_mmap, {0, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, kAll, 0}),
              verdict);
    EXPECT_EQ(policy.Answers(SYS_mprotect, {4096, 4096, prot, 0, 0, 0}), verdict);
    for (const uint64_t key : {uint64_t{0}, uint64_t{1}, kAll}) {
      EXPECT_EQ(policy.Answers(SYS_pkey_mprotect, {4096, 4096, prot, key, 0, 0}),
                SECCOMP_RET_KILL_PROCESS);
    }
  }
  EXPECT_EQ(policy.Answers(SYS_remap_file_pages, {}), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(policy.Answers(SYS_shmat, {}), SECCOMP_RET_KILL_PROCESS);
}

}  // namespace
}  // namespace postern::sandbox
