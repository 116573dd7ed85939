#include "cli/commands/doctor.h"

#include "base/exit_status.h"
#include "cli/print.h"
#include "supervisor/doctor.h"

namespace postern::cli {

int Doctor(const Settings& settings) {
  auto report = supervisor::Examine();
  if (!report) {
    Say(report.error().message);
    return kExitCannotRun;
  }
  return PrintAndExit(settings.json ? report->dump() + "\n" : supervisor::DoctorTable(*report), 0);
}

}  // namespace postern::cli
