// hostile-worker: stands where Node.js stands and is started exactly as it is, by the real
// supervisor and the real launcher, zygote and spare code, with the same descriptors, namespaces,
// filters and limits. What runs in the guest's place is the attempt that the entry file's text
// names.
//
// Layers can be left out (sandbox/layer_switch.h): the tests show by it what each one stops alone.
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "channel/result_frame.h"
#include "channel/spare_fds.h"
#include "tests/hostile/attempts.h"
#include "worker/process/launcher.h"

namespace postern::hostile {
namespace {

using channel::ResultTag;

void Put(ResultTag tag, std::string_view text) {
  const std::string frame = channel::ResultFrame(tag, text);
  if (::write(channel::kResultFd, frame.data(), frame.size()) < 0) ::_exit(1);
}

class Hostile : public worker::GuestProgram {
 public:
  void Warm() override {}
  [[noreturn]] void Run(channel::GuestOrder order) override {
    const std::string name = order.source.substr(0, order.source.find('\n'));
    const auto attempt = Attempts().find(name);
    const std::string said =
        attempt == Attempts().end() ? "no attempt of that name" : attempt->second(order);
    Put(ResultTag::kValue, nlohmann::json(said).dump());
    Put(ResultTag::kSucceeded, {});
    ::_exit(0);
  }
};

}  // namespace
}  // namespace postern::hostile

int main(int argc, char** argv) {
  using namespace postern;
  if (argc == 2 && std::string_view(argv[1]) == "--list") {
    for (const auto& [name, attempt] : hostile::Attempts()) std::printf("%s\n", name.c_str());
    return 0;
  }
  ::unsetenv("LD_PRELOAD");
  worker::WorkerMain(
      argc, argv,
      [](const worker::ZygoteOptions&) -> Result<std::unique_ptr<worker::GuestProgram>> {
        return std::unique_ptr<worker::GuestProgram>(new hostile::Hostile);
      });
}
