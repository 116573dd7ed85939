#include "sandbox/seccomp_file.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>

#include "base/format.h"
#include "base/unique_fd.h"

namespace postern::sandbox {
namespace {

using nlohmann::json;

constexpr unsigned kArguments = 6;  // of a system call

// Inside of this file a mistake is thrown from wherever it is found; CompileSeccompFile catches.
[[noreturn]] void Refuse(const std::string& why) { throw std::runtime_error(why); }

void Must(int rc, const std::string& what) {
  if (rc < 0) Refuse(fmt::format("{}: {}", what, std::strerror(-rc)));
}

void OnlyKeys(const json& object, const std::set<std::string>& known, const std::string& what) {
  if (!object.is_object()) Refuse(fmt::format("{} must be an object", what));
  for (const auto& [key, value] : object.items()) {
    if (!known.contains(key)) Refuse(fmt::format("{} has the unknown key \"{}\"", what, key));
  }
}

std::string Text(const json& object, const char* key, const std::string& what) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string() || found->get<std::string>().empty())
    Refuse(fmt::format("{} needs the text \"{}\"", what, key));
  return *found;
}

uint64_t Number(const json& object, const char* key, uint64_t max, const std::string& what) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned() || found->get<uint64_t>() > max)
    Refuse(fmt::format("{} needs the number \"{}\", at most {}", what, key, max));
  return *found;
}

// `what` by value: GCC 14 takes a reference to a temporary for what is returned.
const json& List(const json& object, const char* key, std::string_view what) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array())
    Refuse(fmt::format("{} needs the list \"{}\"", what, key));
  return *found;
}

uint32_t Action(const json& rule, uint32_t kill) {
  const std::string name = Text(rule, "action", "a rule");
  if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  if (name == "SCMP_ACT_KILL_PROCESS") return kill;
  if (name == "SCMP_ACT_ERRNO")
    return SCMP_ACT_ERRNO(static_cast<uint32_t>(Number(rule, "errnoRet", 4095, "a rule")));
  Refuse(fmt::format("unknown action {}", name));
}

scmp_compare Compare(const std::string& op) {
  static const std::map<std::string, scmp_compare> kOps = {
      {"SCMP_CMP_EQ", SCMP_CMP_EQ},
      {"SCMP_CMP_NE", SCMP_CMP_NE},
      {"SCMP_CMP_LE", SCMP_CMP_LE},
      {"SCMP_CMP_LT", SCMP_CMP_LT},
      {"SCMP_CMP_GE", SCMP_CMP_GE},
      {"SCMP_CMP_GT", SCMP_CMP_GT},
      {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
  const auto found = kOps.find(op);
  if (found == kOps.end()) Refuse(fmt::format("unknown comparison {}", op));
  return found->second;
}

std::vector<scmp_arg_cmp> Arguments(const json& rule) {
  std::vector<scmp_arg_cmp> args;
  if (!rule.contains("args")) return args;
  for (const json& a : List(rule, "args", "a rule")) {
    OnlyKeys(a, {"index", "op", "value", "valueTwo"}, "an argument");
    const auto index = static_cast<unsigned>(Number(a, "index", kArguments - 1, "an argument"));
    const scmp_compare op = Compare(Text(a, "op", "an argument"));
    // Of a masked comparison `value` is the mask; of any other there is no second value.
    if (a.contains("valueTwo") != (op == SCMP_CMP_MASKED_EQ))
      Refuse("valueTwo goes with SCMP_CMP_MASKED_EQ");
    const uint64_t second =
        op == SCMP_CMP_MASKED_EQ ? Number(a, "valueTwo", UINT64_MAX, "an argument") : 0;
    args.push_back({index, op, Number(a, "value", UINT64_MAX, "an argument"), second});
  }
  return args;
}

// `places`: the calls that stand before this rule in its file; what stands first is tested first.
void AddRule(scmp_filter_ctx filter, const json& rule, std::set<int>& places, uint32_t kill) {
  OnlyKeys(rule, {"names", "action", "errnoRet", "args", "comment"}, "a rule");
  Text(rule, "comment", "a rule");
  const uint32_t action = Action(rule, kill);
  const std::vector<scmp_arg_cmp> args = Arguments(rule);
  const json& names = List(rule, "names", "a rule");
  if (names.empty()) Refuse("a rule names no call");
  for (const json& name : names) {
    if (!name.is_string()) Refuse("a call's name must be text");
    const std::string text = name;
    // In place of a zero byte the library would see the end of the name.
    const int number = text.find('\0') == std::string::npos
                           ? ::seccomp_syscall_resolve_name(text.c_str())
                           : __NR_SCMP_ERROR;
    if (number < 0) Refuse(fmt::format("unknown system call {}", text));
    Must(::seccomp_rule_add_array(filter, action, number, static_cast<unsigned>(args.size()),
                                  args.data()),
         text);
    const auto priority = static_cast<uint8_t>(255 - std::min<size_t>(places.size(), 255));
    if (places.insert(number).second)
      Must(::seccomp_syscall_priority(filter, number, priority), text);
  }
}

std::vector<unsigned char> Export(scmp_filter_ctx filter) {
  const UniqueFd file(::memfd_create("filter", MFD_CLOEXEC));
  Must(file.valid() ? ::seccomp_export_bpf(filter, file.get()) : -errno, "export");
  std::vector<unsigned char> code(static_cast<size_t>(::lseek(file.get(), 0, SEEK_END)));
  if (::pread(file.get(), code.data(), code.size(), 0) != static_cast<ssize_t>(code.size()))
    Refuse("cannot read the filter back");
  return code;
}

std::vector<unsigned char> Compile(const json& policy, uint32_t kill) {
  OnlyKeys(policy, {"comment", "defaultAction", "architectures", "syscalls"}, "the policy");
  if (Text(policy, "defaultAction", "the policy") != "SCMP_ACT_KILL_PROCESS")
    Refuse("the default action is SCMP_ACT_KILL_PROCESS and nothing else");
  if (List(policy, "architectures", "the policy") != json::array({"SCMP_ARCH_X86_64"}))
    Refuse("filters are made for SCMP_ARCH_X86_64 and nothing else");
  const std::unique_ptr<void, decltype(&::seccomp_release)> filter(::seccomp_init(kill),
                                                                   &::seccomp_release);
  if (!filter) Refuse("cannot begin a filter");
  // libseccomp's own default for a foreign architecture kills a thread only.
  Must(::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
       "bad architecture");
  Must(::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 1), "optimize");
  std::set<int> places;
  for (const json& rule : List(policy, "syscalls", "the policy"))
    AddRule(filter.get(), rule, places, kill);
  return Export(filter.get());
}

}  // namespace

Result<std::vector<unsigned char>> CompileSeccompFile(std::string_view text, SeccompKill kill) {
  try {
    const uint32_t action =
        kill == SeccompKill::kTrap ? SCMP_ACT_TRAP : uint32_t{SCMP_ACT_KILL_PROCESS};
    return Compile(json::parse(text), action);
  } catch (const std::exception& e) {
    return Error{e.what()};
  }
}

}  // namespace postern::sandbox
