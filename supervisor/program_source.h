// ProgramSource: what a run begins with: the entry module's source, its order and the directories
// it may read. Checked before anything is started.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "channel/guest_order.h"
#include "supervisor/settings.h"

namespace postern::supervisor {

struct OpenMount {
  std::string guest;
  UniqueFd directory;  // O_PATH
  bool writable = false;
};

struct ProgramSource {
  channel::GuestOrder order;
  std::vector<OpenMount> mounts;
  std::vector<std::string> notes;  // for people: sentences about what the guest is not shown
};

// Errors are sentences: what is missing, too large, no file, no directory.
Result<ProgramSource> ReadProgramSource(const Settings& settings);

// A regular file's bytes, at most so many.
Result<std::string> ReadFile(const std::string& path, int64_t max_bytes);

// What the replay adapter answers from; nothing for any other adapter.
struct Recording {
  UniqueFd file, directory;
};
Result<Recording> OpenRecording(const policy::Adapter& adapter);

// Whether the user has a directory mounted at the path `guest`.
bool IsMounted(const std::string& guest, const Settings& s);

// A directory that a guest may read, at its path for the guest ("" for the root).
Result<OpenMount> OpenDirectory(const std::string& host, const std::string& guest, bool writable);

// The machine's time zone by its IANA name, for a guest that has no /etc/localtime; UTC when
// unknown.
std::string TimeZone();

}  // namespace postern::supervisor
