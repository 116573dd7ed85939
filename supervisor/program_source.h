// ProgramSource: what a run begins with: the entry module's source, its order and the directories
// it may read. Checked before anything is started.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "channel/guest_order.h"
#include "policy/file/policy_file.h"

namespace postern::supervisor {

// Which program, as its user names it.
struct ProgramOptions {
  bool eval = false;                   // `target` is code
  std::string target;                  // FILE, "-" for stdin, or CODE
  std::vector<std::string> arguments;  // of the guest
  std::string extension;  // of code that is in no file: "ts"; "" where its text says what it is
  std::optional<std::string> cwd;
  bool keeps_output = false;  // what it prints is kept for an outcome, and shown to nobody
};

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
Result<ProgramSource> ReadProgramSource(const ProgramOptions& program,
                                        const std::vector<policy::MountSetting>& mounts);

// A regular file's bytes, at most so many.
Result<std::string> ReadFile(const std::string& path, int64_t max_bytes);

// What the replay adapter answers from; nothing for any other adapter.
struct Recording {
  UniqueFd file, directory;
};
Result<Recording> OpenRecording(const policy::Adapter& adapter);

// Whether the user has a directory mounted at the path `guest`.
bool IsMounted(const std::string& guest, const std::vector<policy::MountSetting>& mounts);

// A directory that a guest may read, at its path for the guest ("" for the root).
Result<OpenMount> OpenDirectory(const std::string& host, const std::string& guest, bool writable);

// The machine's time zone by its IANA name, for a guest that has no /etc/localtime; UTC when
// unknown.
std::string TimeZone();

}  // namespace postern::supervisor
