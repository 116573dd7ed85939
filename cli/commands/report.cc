#include "cli/commands/report.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "base/exit_status.h"
#include "base/format.h"
#include "base/unique_fd.h"
#include "cli/print.h"
#include "report/report.h"
#include "supervisor/program_source.h"

namespace postern::cli {
namespace {

constexpr int64_t kMaxReportedBytes = 256LL << 20;

}  // namespace

int WriteReport(const Settings& settings) {
  const auto text = supervisor::ReadFile(settings.target, kMaxReportedBytes);
  if (!text) return Say(text.error().message), kExitBadInput;
  const auto page = report::Page(*text, settings.target.substr(settings.target.rfind('/') + 1));
  if (!page)
    return Say(fmt::format("{}: {}", settings.target, page.error().message)), kExitBadInput;
  if (settings.output == "-") return PrintAndExit(*page, 0);
  std::error_code none;
  if (std::filesystem::equivalent(settings.output, settings.target, none))
    return Say(fmt::format("{} is what the report is made of; give it a name of its own",
                           settings.output)),
           kExitBadInput;
  UniqueFd file(::open(settings.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  int error = file.valid() ? WriteAll(file.get(), *page) : errno;
  if (error == 0 && ::close(file.release()) != 0) error = errno;
  if (error == 0) return 0;
  const Unwritten unwritten(settings.output, error);
  if (!unwritten.message.empty()) Say(unwritten.message);
  return unwritten.exit_status;
}

}  // namespace postern::cli
