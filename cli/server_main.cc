// postern-server: what `postern serve` is. A program of its own: its libraries are more than a
// command that runs one guest should have to load.
#include <malloc.h>

#include <cstdio>
#include <exception>

#include "cli/start.h"
#include "server/serve.h"

namespace postern::server {
namespace {

// A large block is the kernel's own, and goes back to it when it is freed. glibc would raise this
// with the largest that it has seen, and keep what clients' bodies took.
constexpr int kLargeBlock = 256 * 1024;

int Main(int argc, char** argv) {
  ::mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  auto started = supervisor::Start(argc, argv);
  if (const int* status = std::get_if<int>(&started)) return *status;
  const auto& settings = std::get<supervisor::Settings>(started);
  if (settings.command != supervisor::Settings::Command::kServe) {
    std::fprintf(stderr, "postern: this program serves only; use postern\n");
    return supervisor::kWrongUsage;
  }
  return Serve(settings, [&] { return supervisor::ParseCommandLine(argc, argv); });
}

}  // namespace
}  // namespace postern::server

int main(int argc, char** argv) try {
  return postern::server::Main(argc, argv);
} catch (
    const std::exception& e) {  // out of memory, say: whatever was started ends with this process
  std::fprintf(stderr, "postern: %s\n", e.what());
  return 125;
}
