// postern: the program the user starts.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "sandbox/process.h"
#include "sandbox/seccomp.h"
#include "server/remote_run.h"
#include "server/serve.h"
#include "supervisor/doctor.h"
#include "supervisor/policy_commands.h"
#include "supervisor/print.h"
#include "supervisor/run_command.h"
#include "supervisor/settings.h"

namespace postern::supervisor {
namespace {

int Doctor(const Settings& settings) {
  auto report = Examine();
  if (!report) {
    std::fprintf(stderr, "postern: %s\n", report.error().message.c_str());
    return 125;
  }
  return PrintAndExit(settings.json ? report->dump() + "\n" : DoctorTable(*report), 0);
}

int Main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  if (const Status s = sandbox::GainNoPrivileges(); !s) {
    std::fprintf(stderr, "postern: %s\n", s.error().message.c_str());
    return 125;
  }
  const auto parsed = ParseCommandLine(argc, argv);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) {
    if (!refusal->message.empty()) std::fprintf(stderr, "postern: %s\n", refusal->message.c_str());
    return refusal->exit_status;
  }
  const auto& settings = std::get<Settings>(parsed);
  const auto mode =
      settings.debug_seccomp ? sandbox::SeccompMode::kDebug : sandbox::SeccompMode::kKill;
  if (const Status s = sandbox::InstallSeccomp("supervisor", mode); !s) {
    std::fprintf(stderr, "postern: %s\n", s.error().message.c_str());
    return 125;
  }
  if (settings.command == Settings::Command::kDoctor) return Doctor(settings);
  if (settings.command == Settings::Command::kCheck) return CheckPolicies(settings);
  if (settings.command == Settings::Command::kExplain) return ExplainPolicy(settings);
  if (settings.command == Settings::Command::kServe)
    return server::Serve(settings, [&] { return ParseCommandLine(argc, argv); });
  if (!settings.server.empty()) {
    const server::RemoteResult result = server::RunRemotely(settings);
    if (!result.json.empty()) return PrintAndExit(result.json + "\n", result.exit_status);
    if (!result.message.empty()) std::fprintf(stderr, "postern: %s\n", result.message.c_str());
    return result.exit_status;
  }
  const Outcome outcome = RunGuest(settings);
  int status = outcome.exit_status;
  if (settings.json) {
    status = PrintAndExit(outcome.ToJson() + "\n", status);
  } else if (!outcome.notice.empty()) {
    std::fprintf(stderr, "postern: %s\n", outcome.notice.c_str());
  }
  if (!outcome.log_trouble.empty()) {
    std::fprintf(stderr, "postern: %s\n", outcome.log_trouble.c_str());
  }
  if (!outcome.report.empty() && !settings.json) {
    std::fprintf(stderr, "%s", outcome.report.c_str());
  }
  return status;
}

}  // namespace
}  // namespace postern::supervisor

int main(int argc, char** argv) try {
  return postern::supervisor::Main(argc, argv);
} catch (
    const std::exception& e) {  // out of memory, say: whatever was started ends with this process
  std::fprintf(stderr, "postern: %s\n", e.what());
  return 125;
}
