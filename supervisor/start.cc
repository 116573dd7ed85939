#include "supervisor/start.h"

#include <csignal>
#include <cstdio>

#include "sandbox/process.h"
#include "sandbox/seccomp.h"

namespace postern::supervisor {
namespace {

constexpr int kCannotStart = 125;

int Refuse(const std::string& why, int status) {
  if (!why.empty()) std::fprintf(stderr, "postern: %s\n", why.c_str());
  return status;
}

}  // namespace

std::variant<Settings, int> Start(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  if (const Status s = sandbox::GainNoPrivileges(); !s)
    return Refuse(s.error().message, kCannotStart);
  auto parsed = ParseCommandLine(argc, argv);
  if (const auto* refusal = std::get_if<Refusal>(&parsed))
    return Refuse(refusal->message, refusal->exit_status);
  auto& settings = std::get<Settings>(parsed);
  const auto mode =
      settings.debug_seccomp ? sandbox::SeccompMode::kDebug : sandbox::SeccompMode::kKill;
  if (const Status s = sandbox::InstallSeccomp("supervisor", mode); !s)
    return Refuse(s.error().message, kCannotStart);
  return std::move(settings);
}

}  // namespace postern::supervisor
