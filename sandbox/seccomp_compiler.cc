// Build-time program: compiles seccomp-policies/*.json with libseccomp into C++ arrays.
//
//   seccomp_compiler OUT.inc [--also=MORE.json] POLICY.json…
//
// MORE.json has syscalls that are added to each policy; it serves the sanitizers in tests.
// The order of calls is the order in which the filter tests them: the hot ones stand first.
#include <seccomp.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/format.h"
#include "sandbox/seccomp_file.h"

namespace {

using postern::sandbox::CompileSeccompFile;
using postern::sandbox::SeccompKill;

void EmitArray(std::ostream& out, const std::string& name, const std::vector<unsigned char>& code) {
  out << "alignas(8) inline constexpr unsigned char " << name << "[] = {";
  for (size_t i = 0; i < code.size(); ++i) out << (i % 24 == 0 ? "\n" : "") << int{code[i]} << ',';
  out << "\n};\n";
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string WithMore(const std::string& policy, const std::string& more) {
  auto merged = nlohmann::json::parse(policy);
  const auto added = nlohmann::json::parse(more);
  for (const auto& rule : added.at("syscalls")) merged["syscalls"].push_back(rule);
  return merged.dump();
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) throw std::runtime_error("usage: seccomp_compiler OUT.inc POLICY.json…");
  std::ofstream out(argv[1]);
  std::string table;
  std::string also;
  for (int i = 2; i < argc; ++i) {
    if (std::string_view(argv[i]).starts_with("--also=")) {
      also = argv[i] + std::strlen("--also=");
      continue;
    }
    const std::string stem = std::filesystem::path(argv[i]).stem();
    std::string id = stem;
    for (char& c : id) c = c == '-' ? '_' : c;
    std::string text = ReadFile(argv[i]);
    if (!also.empty()) text = WithMore(text, ReadFile(also));
    for (const auto& [name, kill] : {std::pair{"kFilter_", SeccompKill::kKillProcess},
                                     std::pair{"kFilterDebug_", SeccompKill::kTrap}}) {
      const auto code = CompileSeccompFile(text, kill);
      if (!code) throw std::runtime_error(fmt::format("{}: {}", argv[i], code.error().message));
      EmitArray(out, name + id, *code);
    }
    fmt::format_to(std::back_inserter(table), "{{\"{}\", kFilter_{}, kFilterDebug_{}}},\n", stem,
                   id, id);
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
  postern::PrintError("seccomp_compiler: {}\n", e.what());
  return 1;
}
