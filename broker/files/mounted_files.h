// MountedFiles: what one guest does with mounted files, as calls.
//
// Paths are opened beneath their mount by the kernel (openat2, RESOLVE_BENEATH), so neither "..",
// nor a symlink, nor a race between the two can leave it; where one mount lies in another,
// files_mounts.h says which it is. Only regular files and directories are there. What may be
// written has a limit of bytes and of files that are made, for one guest.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "broker/files/file_numbers.h"
#include "broker/files/file_writer.h"
#include "broker/files/files_mounts.h"
#include "channel/files_protocol.h"

namespace postern::broker {

inline constexpr int64_t kMaxWrittenBytes = 1LL << 30;  // by one guest
inline constexpr int64_t kMaxFilesMade = 10'000;        // by one guest, directories too

class MountedFiles {
 public:
  // `mounts` outlives it.
  explicit MountedFiles(const MountTable& mounts) : mounts_(mounts) {}

  // Errors have an errnum and a sentence that names the path.
  Result<channel::FilesResponse> Stat(const std::string& path, const channel::StatFile& how);
  struct OpenedFile {
    UniqueFd file;     // at the offset that was asked for
    int64_t left = 0;  // bytes that are to be given, if there are as many
    channel::FilesResponse response;
  };
  Result<OpenedFile> Open(const std::string& path, const channel::ReadFile& how) const;
  Result<std::vector<std::pair<std::string, channel::FileKind>>> List(
      const std::string& path, const channel::ListDirectory& how) const;
  Result<FileWriter> OpenToWrite(const std::string& path, const channel::WriteFile& how);
  // Writes by a writer of OpenToWrite, as far as the guest's limit goes.
  void Write(FileWriter& writer, std::span<const uint8_t> data);
  Status Make(const std::string& path, const channel::MakeDirectory& how);
  Status Remove(const std::string& path, const channel::RemoveFile& how) const;
  Status Move(const std::string& from, const channel::MoveFile& how) const;
  Status SetTimes(const std::string& path, const channel::SetFileTimes& times) const;

 private:
  using Last = MountTable::Last;

  Result<MountedPath> FindToWrite(const std::string& path, Last last) const;
  // Opens what a path leads to; where links lead there, sets `real` to its path without them.
  Result<UniqueFd> Follow(const MountedPath& place, int flags, const std::string& path,
                          std::string& real) const;
  // The directory that a name stands in, and the name; EACCES for the mount itself.
  static Result<std::pair<UniqueFd, std::string>> OpenParent(const MountedPath& place,
                                                             const std::string& path);
  Result<FileWriter> OpenWhole(const MountedPath& place, const std::string& path, mode_t mode);
  Result<FileWriter> OpenInPlace(const MountedPath& place, const std::string& path,
                                 const channel::WriteFile& how, mode_t mode);
  Status MakeAll(const MountedPath& place, const std::string& path, mode_t mode);
  Status RemoveAll(int parent, const std::string& name, const std::string& path, int depth) const;
  // Whether one more file may be made: it counts once it is there.
  Status MayMake(const std::string& path) const;
  // EBUSY where that name is a directory that must stay; Ok where there is none.
  Status MayChange(int parent, const std::string& name, const std::string& path) const;

  const MountTable& mounts_;
  FileNumbers numbers_;
  int64_t written_ = 0, made_ = 0;
};

}  // namespace postern::broker
