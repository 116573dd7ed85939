// postern-server: what `postern serve` is. A program of its own: its libraries are more than a
// command that runs one guest should have to load.
#include <malloc.h>

#include <exception>

#include "base/exit_status.h"
#include "base/format.h"
#include "cli/command_line.h"
#include "cli/startup.h"
#include "server/serve.h"

namespace postern::cli {
namespace {

// A large block is the kernel's own, and goes back to it when it is freed. glibc would raise this
// with the largest that it has seen, and keep what clients' bodies took.
constexpr int kLargeBlock = 256 * 1024;

server::ServeOptions Options(const Settings& settings) {
  server::ServeOptions options = settings.serve;
  options.policy = settings.policy;
  options.program = settings.Program();
  options.processes = settings.Processes();
  options.log = settings.Log();
  options.required_layers = settings.required_layers;
  return options;
}

int Main(int argc, char** argv) {
  ::mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  auto started = Start(argc, argv);
  if (const int* status = std::get_if<int>(&started)) return *status;
  const auto& settings = std::get<Settings>(started);
  if (settings.command != Settings::Command::kServe) {
    PrintError("postern: this program serves only; use postern\n");
    return kExitWrongUsage;
  }
  return server::Serve(Options(settings), [&]() -> Result<server::ServeOptions> {
    auto parsed = ParseCommandLine(argc, argv);
    if (const auto* error = std::get_if<UsageError>(&parsed)) return Error{error->message};
    return Options(std::get<Settings>(parsed));
  });
}

}  // namespace
}  // namespace postern::cli

int main(int argc, char** argv) try {
  return postern::cli::Main(argc, argv);
} catch (
    const std::exception& e) {  // out of memory, say: whatever was started ends with this process
  postern::PrintError("postern: {}\n", e.what());
  return postern::kExitCannotRun;
}
