#include "broker/files/mounted_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "broker/files/file_error.h"

namespace postern::broker {
namespace {

using channel::FileKind;
using channel::WriteHow;

constexpr size_t kMaxNames = 100'000;  // that a directory's listing has
constexpr int kMaxDepth = 100;         // of what is removed with all beneath

FileKind KindOfEntry(unsigned char type) {
  return type == DT_DIR   ? FileKind::kDirectory
         : type == DT_REG ? FileKind::kFile
         : type == DT_LNK ? FileKind::kLink
                          : FileKind::kOther;
}

FileKind KindOf(const struct stat& st) {
  return S_ISDIR(st.st_mode)   ? FileKind::kDirectory
         : S_ISREG(st.st_mode) ? FileKind::kFile
         : S_ISLNK(st.st_mode) ? FileKind::kLink
                               : FileKind::kOther;
}

// What a guest is told of a mode.
mode_t Shown(mode_t mode) {
  return S_ISLNK(mode) ? 0
                       : mode & (S_ISDIR(mode) ? channel::kDirectoryModes : channel::kFileModes);
}

double Milliseconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) * 1000 + static_cast<double>(time.tv_nsec) / 1e6;
}

// glibc's renameat2 is another system call where there are no flags.
long Rename(int from, const char* name, int to, const char* new_name) {
  return ::syscall(SYS_renameat2, from, name, to, new_name, 0);
}

struct CloseDirectory {
  void operator()(DIR* d) const { ::closedir(d); }
};
using OwnDirectory = std::unique_ptr<DIR, CloseDirectory>;

// What has that name in a directory, if that is no link.
UniqueFd OpenName(int parent, const std::string& name) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, parent, name.c_str(), &how, sizeof how)));
}

// The entries of an open directory, without "." and ".."; takes the descriptor.
Result<std::vector<std::pair<std::string, FileKind>>> Entries(UniqueFd fd, const std::string& path,
                                                              size_t most = kMaxNames) {
  OwnDirectory directory(::fdopendir(fd.get()));
  if (!directory) return FileError("list", path);
  (void)fd.release();
  std::vector<std::pair<std::string, FileKind>> entries;
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (entries.size() >= most)
      return Error{fmt::format("{} has more than {} entries", path, most), EFBIG};
    entries.emplace_back(name, KindOfEntry(entry->d_type));
  }
  if (errno != 0) return FileError("list", path);
  return entries;
}

// The mode of a file that takes the place of another: no wider than that of what is there.
mode_t ModeInPlaceOf(int parent, const std::string& name, mode_t mode) {
  const UniqueFd there = OpenName(parent, name);
  struct stat st {};
  if (!there.valid() || ::fstat(there.get(), &st) != 0 || !S_ISREG(st.st_mode)) return mode;
  return st.st_mode & channel::kFileModes;
}

}  // namespace

Result<MountedPath> MountedFiles::FindToWrite(const std::string& path, Last last) const {
  auto place = mounts_.Find(path, last);
  if (place && !place->mount->writable) {
    const std::string guest = place->mount->guest.empty() ? "/" : place->mount->guest;
    return Error{fmt::format("{} may be read only; add --mount={}:rw, or --mount=HOST:{}:rw for a "
                             "directory of another name",
                             path, guest, guest),
                 EACCES};
  }
  return place;
}

Result<UniqueFd> MountedFiles::Follow(const MountedPath& place, int flags, const std::string& path,
                                      std::string& real) const {
  auto fd = OpenBeneath(place, flags, path, 0, RESOLVE_NO_SYMLINKS);
  if (!place.walked) {
    if (fd || fd.error().errnum != ELOOP) return fd;
    fd = OpenBeneath(place, flags, path);
  }
  if (!fd) return fd;
  auto walked =
      place.walked ? Result<MountedPath>(place) : mounts_.Walk(place, Last::kFollow, path);
  if (!walked) return walked.error();
  if (PathOf(*walked) != path) real = PathOf(*walked);
  return fd;
}

Result<std::pair<UniqueFd, std::string>> MountedFiles::OpenParent(const MountedPath& place,
                                                                  const std::string& path) {
  const size_t slash = place.relative.rfind('/');
  const std::string name = place.relative.substr(slash == std::string::npos ? 0 : slash + 1);
  if (name.empty() || name == "." || name == "..")
    return Error{fmt::format("{} is a mount itself, which stays as it is", path), EBUSY};
  const MountedPath parent{place.mount,
                           slash == std::string::npos ? "." : place.relative.substr(0, slash)};
  auto fd = OpenBeneath(parent, O_PATH | O_DIRECTORY, path);
  if (!fd) return fd.error();
  return std::pair{*std::move(fd), name};
}

Status MountedFiles::MayChange(int parent, const std::string& name, const std::string& path) const {
  const UniqueFd fd = OpenName(parent, name);
  // A link is no directory; what cannot be opened, the call itself refuses.
  return fd.valid() ? mounts_.MayChange(fd.get(), path) : Status(Ok{});
}

Status MountedFiles::MayMake(const std::string& path) const {
  if (made_ >= kMaxFilesMade)
    return Error{fmt::format("{} would be one file more than the {} that a guest may make", path,
                             kMaxFilesMade),
                 ENOSPC};
  return Ok{};
}

Result<channel::FilesResponse> MountedFiles::Stat(const std::string& path,
                                                  const channel::StatFile& how) {
  auto place = mounts_.Find(path, how.follow ? Last::kFollow : Last::kKeep);
  if (!place) return place.error();
  channel::FilesResponse response;
  auto fd = how.follow ? Follow(*place, O_PATH, path, response.real)
                       : OpenBeneath(*place, O_PATH | O_NOFOLLOW, path);
  if (!fd) return fd.error();
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return FileError("look at", path);
  if (S_ISLNK(st.st_mode)) {
    auto target = TargetOf(fd->get(), path);
    if (!target) return target.error();
    // A path of the host's is none of the guest's.
    if (!target->starts_with('/')) response.target = *std::move(target);
  }
  const auto [inode, device] = numbers_.Of(st);
  response.status = {.kind = KindOf(st),
                     .size = S_ISDIR(st.st_mode) ? 0 : st.st_size,
                     .times = {.accessed = Milliseconds(st.st_atim),
                               .modified = Milliseconds(st.st_mtim),
                               .changed = Milliseconds(st.st_ctim)},
                     .mode = Shown(st.st_mode),
                     .writable = place->mount->writable,
                     .inode = static_cast<int64_t>(inode),
                     .device = static_cast<int64_t>(device)};
  return response;
}

Result<MountedFiles::OpenedFile> MountedFiles::Open(const std::string& path,
                                                    const channel::ReadFile& how) const {
  auto place = mounts_.Find(path, Last::kFollow);
  if (!place) return place.error();
  OpenedFile opened;
  auto fd = Follow(*place, O_RDONLY, path, opened.response.real);
  if (!fd) return fd.error();
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return FileError("read", path);
  if (S_ISDIR(st.st_mode)) return Error{fmt::format("{} is a directory", path), EISDIR};
  if (!S_ISREG(st.st_mode)) return Error{fmt::format("{} is no regular file", path), EACCES};
  const int64_t most = std::min(kMaxFileBytes, how.most);
  if (std::min<int64_t>(how.length, st.st_size - how.offset) > most) {
    return Error{fmt::format("{} has {} bytes, more than the limit of {}", path, st.st_size, most),
                 EFBIG};
  }
  if (how.offset > 0 && ::lseek(fd->get(), how.offset, SEEK_SET) < 0)
    return FileError("read", path);
  opened.file = *std::move(fd);
  opened.left = std::min(how.length, kMaxFileBytes);
  return opened;
}

Result<std::vector<std::pair<std::string, FileKind>>> MountedFiles::List(
    const std::string& path, const channel::ListDirectory& how) const {
  auto place = mounts_.Find(path, Last::kFollow);
  if (!place) return place.error();
  auto fd = OpenBeneath(*place, O_RDONLY | O_DIRECTORY, path);
  if (!fd) return fd.error();
  const auto most = static_cast<size_t>(std::min<int64_t>(how.most, kMaxNames));
  return Entries(*std::move(fd), path, most);
}

// ---- writing

Result<FileWriter> MountedFiles::OpenToWrite(const std::string& path,
                                             const channel::WriteFile& how) {
  const auto mode = static_cast<mode_t>(how.mode) & channel::kFileModes;
  // There a link is no way to go.
  const bool of_the_name = how.how == WriteHow::kWhole || how.how == WriteHow::kNew;
  auto place = FindToWrite(path, of_the_name ? Last::kKeep : Last::kFollow);
  if (!place) return place.error();
  return how.how == WriteHow::kWhole ? OpenWhole(*place, path, mode)
                                     : OpenInPlace(*place, path, how, mode);
}

Result<FileWriter> MountedFiles::OpenWhole(const MountedPath& place, const std::string& path,
                                           mode_t mode) {
  auto parent = OpenParent(place, path);
  if (!parent) return parent.error();
  if (Status s = MayMake(path); !s) return s.error();
  uint64_t salt = 0;
  if (::getrandom(&salt, sizeof salt, 0) != sizeof salt) return FileError("write", path);
  std::string temporary = fmt::format(".postern-{}", salt);
  open_how beneath{};
  beneath.flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  beneath.mode = ModeInPlaceOf(parent->first.get(), parent->second, mode);
  beneath.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  UniqueFd file(static_cast<int>(
      ::syscall(SYS_openat2, parent->first.get(), temporary.c_str(), &beneath, sizeof beneath)));
  if (!file.valid()) return FileError("write", path);
  ++made_;
  return FileWriter(std::move(file), path, std::move(parent->first), std::move(parent->second),
                    std::move(temporary));
}

Result<FileWriter> MountedFiles::OpenInPlace(const MountedPath& place, const std::string& path,
                                             const channel::WriteFile& how, mode_t mode) {
  int flags = O_WRONLY;
  if (how.how == WriteHow::kWrite) flags |= O_CREAT | O_TRUNC;
  if (how.how == WriteHow::kNew) flags |= O_CREAT | O_EXCL;
  if (how.how == WriteHow::kAppend) flags |= O_CREAT | O_APPEND;
  const auto irregular = [&] { return Error{fmt::format("{} is no regular file", path), EACCES}; };
  // Looked at first: opening a pipe or a device may do something.
  struct stat st {};
  bool made = false;
  if (auto known = OpenBeneath(place, O_PATH, path)) {
    if (::fstat(known->get(), &st) != 0) return FileError("write", path);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return irregular();
  } else if (how.how != WriteHow::kUpdate) {
    if (Status s = MayMake(path); !s) return s.error();
    made = true;
  }
  auto fd = OpenBeneath(place, flags, path, (flags & O_CREAT) != 0 ? mode : 0);
  if (!fd) return fd.error();
  if (made) ++made_;
  if (::fstat(fd->get(), &st) != 0) return FileError("write", path);
  if (!S_ISREG(st.st_mode)) return irregular();
  if (how.truncate > kMaxFileBytes) {
    return Error{fmt::format("{} would have more bytes than the limit of {}", path, kMaxFileBytes),
                 EFBIG};
  }
  if (how.truncate >= 0 && ::ftruncate(fd->get(), how.truncate) != 0)
    return FileError("write", path);
  if (how.how == WriteHow::kAppend) return FileWriter::AtEnd(*std::move(fd), path, st.st_size);
  return FileWriter(*std::move(fd), path, how.offset);
}

void MountedFiles::Write(FileWriter& writer, std::span<const uint8_t> data) {
  if (writer.failed()) return;
  written_ += static_cast<int64_t>(data.size());
  if (written_ <= kMaxWrittenBytes) return writer.Write(data);
  writer.Fail(Error{fmt::format("more than the {} bytes that a guest may write", kMaxWrittenBytes),
                    ENOSPC});
}

Status MountedFiles::Make(const std::string& path, const channel::MakeDirectory& how) {
  const auto mode = static_cast<mode_t>(how.mode) & channel::kDirectoryModes;
  auto place = FindToWrite(path, how.all ? Last::kFollow : Last::kKeep);
  if (!place) return place.error();
  if (how.all) return MakeAll(*place, path, mode);
  if (place->relative == ".")
    return Error{fmt::format("cannot make {}: it is there already", path), EEXIST};
  auto parent = OpenParent(*place, path);
  if (!parent) return parent.error();
  if (Status s = MayMake(path); !s) return s;
  if (::mkdirat(parent->first.get(), parent->second.c_str(), mode) != 0)
    return FileError("make", path);
  ++made_;
  return Ok{};
}

// What is there already stays.
Status MountedFiles::MakeAll(const MountedPath& place, const std::string& path, mode_t mode) {
  for (size_t at = 0; at != std::string::npos;) {
    at = place.relative.find('/', at + 1);
    const MountedPath above{place.mount, place.relative.substr(0, at)};
    if (OpenBeneath(above, O_PATH | O_DIRECTORY, path)) continue;
    auto parent = OpenParent(above, path);
    if (!parent) return parent.error();
    if (Status s = MayMake(path); !s) return s;
    if (::mkdirat(parent->first.get(), parent->second.c_str(), mode) == 0) {
      ++made_;
      continue;
    }
    if (errno == EEXIST && at != std::string::npos) errno = ENOTDIR;  // a file stands in between
    return FileError("make", path);
  }
  return Ok{};
}

Status MountedFiles::Remove(const std::string& path, const channel::RemoveFile& how) const {
  auto place = FindToWrite(path, Last::kKeep);
  if (!place) return place.error();
  auto parent = OpenParent(*place, path);
  if (!parent) return parent.error();
  const auto& [directory, name] = *parent;
  if (Status s = MayChange(directory.get(), name, path); !s) return s;
  if (how.all) return RemoveAll(directory.get(), name, path, 0);
  const int flags = how.directory ? AT_REMOVEDIR : 0;
  if (::unlinkat(directory.get(), name.c_str(), flags) != 0) {
    // Linux says EISDIR or EPERM for a directory that is to be removed as a file.
    if (errno == EPERM && flags == 0) errno = EISDIR;
    return FileError("remove", path);
  }
  return Ok{};
}

// Removes `name` in `parent` with all beneath. Descriptors of directories are opened without
// following links.
Status MountedFiles::RemoveAll(int parent, const std::string& name, const std::string& path,
                               int depth) const {
  if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return Ok{};
  if (errno != EISDIR && errno != EPERM) return FileError("remove", path);
  if (depth > kMaxDepth)
    return Error{fmt::format("{} is too deep to be removed", path), ENAMETOOLONG};
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, parent, name.c_str(), &how, sizeof how)));
  if (!fd.valid()) return FileError("remove", path);
  if (Status s = mounts_.MayChange(fd.get(), path); !s) return s;
  UniqueFd again(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  auto entries = Entries(std::move(again), path);
  if (!entries) return entries.error();
  for (const auto& [entry, type] : *entries) {
    if (Status s = RemoveAll(fd.get(), entry, fmt::format("{}/{}", path, entry), depth + 1); !s)
      return s;
  }
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0) return FileError("remove", path);
  return Ok{};
}

Status MountedFiles::Move(const std::string& from, const channel::MoveFile& how) const {
  const std::string& to = how.to;
  auto source = FindToWrite(from, Last::kKeep);
  if (!source) return source.error();
  auto target = FindToWrite(to, Last::kKeep);
  if (!target) return target.error();
  auto old_parent = OpenParent(*source, from);
  if (!old_parent) return old_parent.error();
  auto new_parent = OpenParent(*target, to);
  if (!new_parent) return new_parent.error();
  if (Status s = MayChange(old_parent->first.get(), old_parent->second, from); !s) return s;
  if (Status s = MayChange(new_parent->first.get(), new_parent->second, to); !s) return s;
  if (Rename(old_parent->first.get(), old_parent->second.c_str(), new_parent->first.get(),
             new_parent->second.c_str()) != 0)
    return FileError(fmt::format("rename {} to", from), to);
  return Ok{};
}

Status MountedFiles::SetTimes(const std::string& path, const channel::SetFileTimes& times) const {
  auto place = FindToWrite(path, Last::kFollow);
  if (!place) return place.error();
  auto file = OpenBeneath(*place, O_PATH, path);
  if (!file) return file.error();
  // Nanoseconds count forwards, before 1970 too.
  const auto time_of = [](int64_t nanoseconds) {
    constexpr int64_t kSecond = 1'000'000'000;
    const int64_t rest = (nanoseconds % kSecond + kSecond) % kSecond;
    return timespec{(nanoseconds - rest) / kSecond, rest};
  };
  const timespec both[] = {time_of(times.accessed), time_of(times.modified)};
  if (::utimensat(file->get(), "", both, AT_EMPTY_PATH) != 0)
    return FileError("set the times of", path);
  return Ok{};
}

}  // namespace postern::broker
