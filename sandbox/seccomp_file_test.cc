#include "sandbox/seccomp_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace postern::sandbox {
namespace {

using nlohmann::json;

json Good() {
  return json::parse(
      R"({"defaultAction": "SCMP_ACT_KILL_PROCESS", "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "comment": "pipes"},
                 {"names": ["mmap"], "action": "SCMP_ACT_ALLOW", "comment": "memory",
                  "args": [{"index": 2, "op": "SCMP_CMP_MASKED_EQ", "value": 4, "valueTwo": 0}]},
                 {"names": ["openat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "comment": "none"}]})");
}

std::string Refusal(const std::string& text) {
  const auto code = CompileSeccompFile(text, SeccompKill::kKillProcess);
  return code ? "" : code.error().message;
}

TEST(SeccompFile, EveryPolicyCompiles) {
  for (const auto& entry :
       std::filesystem::directory_iterator(POSTERN_SOURCE_DIR "/seccomp-policies")) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(Refusal(text), "") << entry.path();
  }
  EXPECT_EQ(Refusal(Good().dump()), "");
}

// A JSON pointer, what is put there (discarded: taken away), and a part of the message.
struct Mistake {
  const char* where;
  json value;
  const char* message;
};

TEST(SeccompFile, MistakesAreRefused) {
  const json gone = json::value_t::discarded;
  const Mistake mistakes[] = {
      {"/defaultAction", "SCMP_ACT_ALLOW", "default action"},
      {"/defaultAction", gone, "defaultAction"},
      {"/architectures", json::array({"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"}), "SCMP_ARCH_X86_64"},
      {"/architectures", gone, "architectures"},
      {"/syscalls", gone, "syscalls"},
      {"/syscalls", json::object(), "syscalls"},
      {"/flags", json::array(), "unknown key \"flags\""},
      {"/syscalls/0", "read", "must be an object"},
      {"/syscalls/0/arg", json::array(), "unknown key \"arg\""},
      {"/syscalls/0/comment", gone, "comment"},
      {"/syscalls/0/comment", "", "comment"},
      {"/syscalls/0/names", gone, "names"},
      {"/syscalls/0/names", json::array(), "names no call"},
      {"/syscalls/0/names/0", "reed", "unknown system call reed"},
      {"/syscalls/0/names/0", std::string("read\0x", 6), "unknown system call"},
      {"/syscalls/0/names/0", 0, "must be text"},
      {"/syscalls/0/action", "SCMP_ACT_LOG", "unknown action"},
      {"/syscalls/0/action", gone, "action"},
      {"/syscalls/2/errnoRet", gone, "errnoRet"},
      {"/syscalls/2/errnoRet", -1, "errnoRet"},
      {"/syscalls/2/errnoRet", 70000, "errnoRet"},
      {"/syscalls/1/args", "x", "args"},
      {"/syscalls/1/args/0/index", 6, "index"},
      {"/syscalls/1/args/0/index", gone, "index"},
      {"/syscalls/1/args/0/op", "SCMP_CMP_LIKE", "unknown comparison"},
      {"/syscalls/1/args/0/op", "SCMP_CMP_EQ", "valueTwo"},
      {"/syscalls/1/args/0/value", gone, "value"},
      {"/syscalls/1/args/0/value", "4", "value"},
      {"/syscalls/1/args/0/valueTwo", gone, "valueTwo"},
      {"/syscalls/1/args/0/datum", 1, "unknown key"},
  };
  for (const Mistake& m : mistakes) {
    json policy = Good();
    const json::json_pointer where(m.where);
    if (m.value.is_discarded()) {
      policy[where.parent_pointer()].erase(where.back());
    } else {
      policy[where] = m.value;
    }
    EXPECT_NE(Refusal(policy.dump()).find(m.message), std::string::npos)
        << m.where << ": " << Refusal(policy.dump());
  }
  EXPECT_NE(Refusal("{"), "");
  EXPECT_NE(Refusal("[]"), "");
  EXPECT_NE(Refusal(""), "");
}

}  // namespace
}  // namespace postern::sandbox
