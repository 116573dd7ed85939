#include "cli/commands/doctor.h"

#include "base/exit_status.h"
#include "base/format.h"
#include "cli/print.h"
#include "supervisor/doctor.h"

namespace postern::cli {

int Doctor(const Settings& settings) {
  auto report = supervisor::Examine();
  if (!report) {
    Say(report.error().message);
    return kExitCannotRun;
  }
  return PrintAndExit(
      settings.json ? fmt::format("{}\n", report->dump()) : supervisor::DoctorTable(*report), 0);
}

}  // namespace postern::cli
