#include "supervisor/programs.h"

#include <cstdint>
#include <filesystem>

#include "base/format.h"

namespace postern::supervisor {
namespace {

namespace fs = std::filesystem;

#ifdef POSTERN_SANITIZER_LIBRARIES
const std::string kPreloadedFirst = POSTERN_SANITIZER_LIBRARIES;
#else
const std::string kPreloadedFirst;
#endif

struct Parts {
  std::string node, worker_library, broker, server;
};

// PREFIX/bin/postern has them in PREFIX/lib/postern; the server is one of them.
Parts LocateParts() {
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  const fs::path parts = fs::exists(here / "libpostern-worker.so", error)
                             ? here
                             : here.parent_path() / "lib" / "postern";
  return {parts / "node", parts / "libpostern-worker.so", parts / "postern-broker",
          parts / "postern-server"};
}

}  // namespace

std::string ServerProgram() { return LocateParts().server; }

ChildProcess::Program WorkerProgram(const ProcessOptions& options) {
  const Parts parts = LocateParts();
  ChildProcess::Program p{.executable = parts.node,
                          .arguments = {"--postern-worker"},
                          .environment = {{"LD_PRELOAD", kPreloadedFirst + parts.worker_library}}};
  if (options.jitless) p.arguments.emplace_back("--jitless");
  if (options.debug_seccomp) p.arguments.emplace_back("--debug-seccomp");
  p.environment.emplace_back("TZ", TimeZone());
#ifdef POSTERN_SANITIZER_LIBRARIES
  // A guest's memory is limited: less of what was freed is kept to be watched.
  p.environment.emplace_back("ASAN_OPTIONS",
                             "detect_leaks=0:symbolize=0:handle_segv=0:allocator_may_return_null=1:"
                             "quarantine_size_mb=4:thread_local_quarantine_size_kb=64");
#endif
  return p;
}

ChildProcess::Program NetBrokerProgram(const ProcessOptions& options,
                                       const policy::PolicyFile& policy, bool records) {
  ChildProcess::Program p{.executable = LocateParts().broker, .arguments = {"net"}};
  if (options.debug_seccomp) p.arguments.emplace_back("--debug-seccomp");
  if (records) p.arguments.emplace_back("--record");
  if (policy.ca_file) p.arguments.push_back(fmt::format("--ca-file={}", *policy.ca_file));
  for (const uint16_t port :
       policy::ConnectPorts(policy.network).value_or(std::vector<uint16_t>{})) {
    p.arguments.push_back(fmt::format("--port={}", port));
  }
  return p;
}

ChildProcess::Program FilesBrokerProgram(const ProcessOptions& options,
                                         const std::vector<OpenMount>& mounts) {
  ChildProcess::Program p{.executable = LocateParts().broker, .arguments = {"files"}};
  if (options.debug_seccomp) p.arguments.emplace_back("--debug-seccomp");
  for (const OpenMount& m : mounts) {
    p.arguments.push_back(
        fmt::format("{}{}{}", 4 + p.inherited.size(), m.writable ? "w:" : ":", m.guest));
    p.inherited.push_back(m.directory.get());
  }
  return p;
}

ChildProcess::Program LogProgram(const ProcessOptions& options) {
  ChildProcess::Program p{.executable = LocateParts().broker, .arguments = {"log"}};
  if (options.debug_seccomp) p.arguments.emplace_back("--debug-seccomp");
  return p;
}

}  // namespace postern::supervisor
