// postern: the program the user starts.
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>

#include "base/exit_status.h"
#include "base/format.h"
#include "base/printable.h"
#include "cli/commands/check.h"
#include "cli/commands/doctor.h"
#include "cli/commands/explain.h"
#include "cli/commands/report.h"
#include "cli/commands/run.h"
#include "cli/commands/run_remote.h"
#include "cli/print.h"
#include "cli/startup.h"
#include "supervisor/program_source.h"
#include "supervisor/programs.h"

namespace postern::cli {
namespace {

// Where no request could get out, and the environment names a proxy that nobody told us to use.
std::string ProxyHint(const Settings& settings, const run_api::Outcome& outcome) {
  if (settings.policy.network.adapter.kind != policy::AdapterKind::kDirect) return {};
  const auto failed = [&](const char* code) { return outcome.usage.net.errors.contains(code); };
  if (!failed("ERR_DNS") && !failed("ERR_DNS_TIMEOUT") && !failed("ERR_CONNECTION_TIMEOUT") &&
      !failed("ERR_CONNECTION_REFUSED") && !failed("ERR_ADDRESS_UNREACHABLE"))
    return {};
  for (const char* name : {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"}) {
    const char* url = std::getenv(name);
    if (url != nullptr && *url != '\0')
      return fmt::format(
          "{} is set, and Postern does not follow it; write --adapter=proxy:URL for requests to go "
          "through a proxy",
          name);
  }
  return {};
}

// Where a program looked beneath its own directory for what is in the user's: a program of Node.js
// begins in the latter. Said to the user alone, of a relative path that stays beneath both.
std::string WorkingDirectoryHint(const Settings& settings, const run_api::Outcome& outcome) {
  namespace fs = std::filesystem;
  if (settings.command != Settings::Command::kRun || settings.target == "-" || settings.cwd ||
      outcome.kind != run_api::Outcome::Kind::kFailed || outcome.cause_code != "ENOENT")
    return {};
  // "ENOENT: …, open 'data.txt'", or a path from the root
  const std::string& text = outcome.error_message;
  const size_t end = text.rfind('\''), begin = end == 0 ? end : text.rfind('\'', end - 1);
  if (begin == std::string::npos || begin == end) return {};
  std::error_code error;
  const fs::path here = fs::current_path(error);
  const fs::path file = fs::canonical(settings.target, error);
  if (error || !fs::is_regular_file(file, error) || file.parent_path() == here) return {};
  const fs::path looked = file.parent_path() / text.substr(begin + 1, end - begin - 1);
  const fs::path relative = looked.lexically_normal().lexically_relative(file.parent_path());
  if (relative.empty() || *relative.begin() == ".." || *relative.begin() == "." ||
      !fs::exists(here / relative, error))
    return {};
  return fmt::format(
      "{} is in your working directory, and the program's is that of its file; {}--cwd=. lets it "
      "begin in yours",
      relative.string(), supervisor::IsMounted(here, settings.policy.mounts) ? "" : "--mount=. ");
}

// `postern serve` is a program of its own.
int BecomeServer(char** argv) {
  const std::string program = supervisor::ServerProgram();
  ::execv(program.c_str(), argv);
  Say(SystemError(fmt::format("cannot start {}", program)).message);
  return kExitCannotRun;
}

int Main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "serve") == 0) return BecomeServer(argv);
  auto started = Start(argc, argv);
  if (const int* status = std::get_if<int>(&started)) return *status;
  const auto& settings = std::get<Settings>(started);
  if (settings.command == Settings::Command::kDoctor) return Doctor(settings);
  if (settings.command == Settings::Command::kCheck) return CheckPolicies(settings);
  if (settings.command == Settings::Command::kReport) return WriteReport(settings);
  if (settings.command == Settings::Command::kExplain) return ExplainPolicy(settings);
  if (!settings.server.empty()) {
    const RemoteResult result = RunRemotely(settings);
    if (!result.json.empty())
      return PrintAndExit(fmt::format("{}\n", result.json), result.exit_status);
    if (!result.message.empty()) Say(result.message);
    return result.exit_status;
  }
  const run_api::Outcome outcome = RunGuest(settings);
  int status = outcome.exit_status;
  if (settings.json) {
    status = PrintAndExit(fmt::format("{}\n", outcome.ToJson()), status);
  } else if (!outcome.notice.empty()) {
    Say(outcome.notice);
  }
  if (!outcome.log_trouble.empty()) {
    Say(outcome.log_trouble);
    if (status == 0) status = kExitCannotWrite;
  }
  if (settings.json) return status;
  for (const auto hint : {ProxyHint, WorkingDirectoryHint}) {
    if (const std::string said = hint(settings, outcome); !said.empty()) Say(said);
  }
  if (!outcome.report.empty()) WriteStderr(Printable(outcome.report, true));
  return status;
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
