// Build-time program: compiles seccomp-policies/*.json with libseccomp into C++ arrays.
//
//   seccomp_compiler OUT.inc POLICY.json…
//
// The files use the schema of container engines (defaultAction, architectures, syscalls[] with
// names, action, args, comment). Every call must have a comment: who needs it and why. The order of
// calls is the order in which the filter tests them: the hot ones stand first.
#include <seccomp.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using nlohmann::json;

uint32_t Action(const std::string& name, uint32_t kill) {
  if (name == "SCMP_ACT_KILL_PROCESS") return kill;
  if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  throw std::runtime_error("unknown action " + name);
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
  return kOps.at(op);
}

void Must(int rc, const std::string& what) {
  if (rc < 0) throw std::runtime_error(what + ": " + std::strerror(-rc));
}

// `places`: the calls that stand before this rule in its file; what stands first is tested first.
void AddRule(scmp_filter_ctx ctx, const json& rule, std::set<int>& places, uint32_t kill) {
  if (rule.value("comment", "").empty()) throw std::runtime_error("a rule without a comment");
  uint32_t action = 0;
  if (rule.at("action") == "SCMP_ACT_ERRNO") {
    action = SCMP_ACT_ERRNO(rule.at("errnoRet").get<uint32_t>());
  } else {
    action = Action(rule.at("action"), kill);
  }
  std::vector<scmp_arg_cmp> args;
  for (const json& a : rule.value("args", json::array())) {
    args.push_back({a.at("index").get<unsigned>(), Compare(a.at("op")),
                    a.at("value").get<uint64_t>(), a.value("valueTwo", uint64_t{0})});
  }
  for (const std::string name : rule.at("names")) {
    const int number = seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR) throw std::runtime_error("unknown system call " + name);
    Must(seccomp_rule_add_array(ctx, action, number, static_cast<unsigned>(args.size()),
                                args.data()),
         name);
    const auto priority = static_cast<uint8_t>(255 - std::min<size_t>(places.size(), 255));
    if (places.insert(number).second) Must(seccomp_syscall_priority(ctx, number, priority), name);
  }
}

std::vector<unsigned char> Compile(const json& policy, uint32_t kill) {
  if (policy.at("architectures") != json::array({"SCMP_ARCH_X86_64"})) {
    throw std::runtime_error("filters are made for SCMP_ARCH_X86_64 and nothing else");
  }
  scmp_filter_ctx ctx = seccomp_init(Action(policy.at("defaultAction"), kill));
  // libseccomp's own default for a foreign architecture kills a thread only.
  Must(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "bad architecture");
  Must(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 1), "optimize");
  std::set<int> places;
  for (const json& rule : policy.at("syscalls")) AddRule(ctx, rule, places, kill);
  std::FILE* out = std::tmpfile();
  Must(out == nullptr ? -errno : seccomp_export_bpf(ctx, fileno(out)), "export");
  seccomp_release(ctx);
  std::vector<unsigned char> code(static_cast<size_t>(lseek(fileno(out), 0, SEEK_END)));
  Must(pread(fileno(out), code.data(), code.size(), 0) == static_cast<ssize_t>(code.size()) ? 0
                                                                                            : -EIO,
       "read");
  std::fclose(out);
  return code;
}

void EmitArray(std::ostream& out, const std::string& name, const std::vector<unsigned char>& code) {
  out << "alignas(8) inline constexpr unsigned char " << name << "[] = {";
  for (size_t i = 0; i < code.size(); ++i) out << (i % 24 == 0 ? "\n" : "") << int{code[i]} << ',';
  out << "\n};\n";
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) throw std::runtime_error("usage: seccomp_compiler OUT.inc POLICY.json…");
  std::ofstream out(argv[1]);
  std::string table;
  for (int i = 2; i < argc; ++i) {
    const std::string stem = std::filesystem::path(argv[i]).stem();
    std::string id = stem;
    for (char& c : id) c = c == '-' ? '_' : c;
    try {
      const json policy = json::parse(std::ifstream(argv[i]));
      EmitArray(out, "kFilter_" + id, Compile(policy, SCMP_ACT_KILL_PROCESS));
      EmitArray(out, "kFilterDebug_" + id, Compile(policy, SCMP_ACT_TRAP));
    } catch (const std::exception& e) {
      throw std::runtime_error(std::string(argv[i]) + ": " + e.what());
    }
    table += "{\"" + stem + "\", kFilter_" + id + ", kFilterDebug_" + id + "},\n";
  }
  out << "struct SeccompFilter { std::string_view name; std::span<const unsigned char> kill, "
         "debug; };\n"
      << "inline const SeccompFilter kSeccompFilters[] = {\n"
      << table << "};\n"
      << "struct NumberedCall { int number; std::string_view name; };\n"
      << "inline constexpr NumberedCall kSyscallNames[] = {\n";
  for (int n = 0; n < 600; ++n) {
    char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, n);
    if (name != nullptr) out << '{' << n << ", \"" << name << "\"},\n";
    free(name);
  }
  out << "};\n";
  out.flush();
  return out ? 0 : 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "seccomp_compiler: %s\n", e.what());
  return 1;
}
