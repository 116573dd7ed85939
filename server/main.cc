// postern-server: what `postern serve` is. A program of its own: its libraries are more than a
// command that runs one guest should have to load.
#include <cstdio>
#include <exception>

#include "server/serve.h"
#include "supervisor/start.h"

namespace postern::server {
namespace {

int Main(int argc, char** argv) {
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
