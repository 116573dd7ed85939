#include "cli/startup.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "base/exit_status.h"
#include "cli/command_line.h"
#include "cli/print.h"
#include "sandbox/process.h"
#include "sandbox/seccomp.h"

namespace postern::cli {
namespace {

int Refuse(const std::string& why, int status) {
  if (!why.empty()) Say(why);
  return status;
}

// What is opened next would else be taken for stdin, stdout or stderr: a guest's output would go to
// a control socket.
Status OpenStandardDescriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != fd)
      return SystemError("cannot open /dev/null for a standard descriptor that is closed");
  }
  return Ok{};
}

}  // namespace

std::variant<Settings, int> Start(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  if (const Status s = OpenStandardDescriptors(); !s)
    return Refuse(s.error().message, kExitCannotRun);
  if (::access("/proc/self/exe", F_OK) != 0)
    return Refuse("/proc is not mounted here, and Postern needs it", kExitCannotRun);
  if (const Status s = sandbox::GainNoPrivileges(); !s)
    return Refuse(s.error().message, kExitCannotRun);
  auto parsed = ParseCommandLine(argc, argv);
  if (const auto* refusal = std::get_if<UsageError>(&parsed))
    return refusal->output.empty() ? Refuse(refusal->message, refusal->exit_status)
                                   : PrintAndExit(refusal->output, refusal->exit_status);
  auto& settings = std::get<Settings>(parsed);
  if (!settings.hint.empty()) Say(settings.hint);
  const auto mode =
      settings.debug_seccomp ? sandbox::SeccompMode::kDebug : sandbox::SeccompMode::kKill;
  if (const Status s = sandbox::InstallSeccomp("supervisor", mode); !s)
    return Refuse(s.error().message, kExitCannotRun);
  return std::move(settings);
}

}  // namespace postern::cli
