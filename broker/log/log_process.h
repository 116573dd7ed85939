// The log process (`postern-broker log`): takes the net broker's events and writes them: the audit
// log, the HAR file, lines for people, and the policy that report mode prints at the end.
//
// A process of its own, so that a disk that is slow or full never stops a request, and so that the
// process that talks to the network has no file.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "channel/control.h"
#include "har/har.h"
#include "policy/observed_policy.h"

namespace postern::broker {

class LogProcess {
 public:
  struct Outputs {
    UniqueFd audit, har;
    UniqueFd people;      // --verbose
    bool colour = false;  // people have a terminal
    bool report = false;
  };
  // `events`: the net broker's socket. `control`: the supervisor's.
  LogProcess(Outputs outputs, UniqueFd events, int control)
      : outputs_(std::move(outputs)), events_(std::move(events)), control_(control) {}

  // Serves until the last net broker is gone, then tells the supervisor what became of it all.
  void Run();

 private:
  bool OnControl();
  bool OnEvents();
  int WriteAudit(const std::string& lines);  // 0, or an errno
  void WriteLines(const channel::EventLines& events);
  void AddPiece(const channel::EntryPiece& piece);
  void WriteEntry(const har::HarEntry& entry);
  void ForPeople(std::string_view line);
  Status SendSummary();

  Outputs outputs_;
  UniqueFd events_;
  int control_;
  policy::ObservedPolicy report_;
  uint64_t lost_ = 0;                 // events and entries, in all
  uint64_t unnoted_ = 0;              // lost events of which the audit log does not tell yet
  std::string error_;                 // the last one, for the summary
  std::string owed_;                  // the rest of a line that a full disk took a part of
  std::array<std::string, 3> entry_;  // whose parts arrive, by channel::EntryPart
  bool any_entry_ = false;
  int64_t har_end_ = 0;  // where the next entry goes; -1 where the file takes no more
};

}  // namespace postern::broker
