#include "broker/files/files_binding.h"

#include <dirent.h>
#include <linux/openat2.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/eintr.h"
#include "channel/failure.h"
#include "channel/file_modes.h"

namespace postern::broker {
namespace {

constexpr uint32_t kMaxRequests = 16;    // at once, a guest
constexpr size_t kMaxNames = 100'000;    // that a directory's listing has
constexpr int kMaxDepth = 100;           // of what is removed with all beneath
constexpr uint64_t kFirstDevice = 2;     // 1 is the guest's own memory
constexpr uint64_t kAbove = 1ULL << 52;  // numbers that JavaScript has, beyond those of the known
constexpr size_t kMaxKnown = 1 << 20;    // files that have a number of their own

std::string ErrorName(int errnum) {
  switch (errnum) {
    case EXDEV:
    case EPERM:
    case EROFS:
    case EACCES:
      return "EACCES";
    case ENFILE:
      return "EMFILE";
    case EDQUOT:
      return "ENOSPC";
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ENOTEMPTY:
    case EFBIG:
    case ENOSPC:
    case ENAMETOOLONG:
    case ELOOP:
    case EMFILE:
    case EINVAL:
    case EBUSY:
      return strerrorname_np(errnum);
    default:
      return "EIO";
  }
}

int64_t SignedOf(const channel::Fields& fields, const char* name, int64_t otherwise) {
  const std::string* text = FindField(fields, name);
  int64_t number = otherwise;
  if (text != nullptr) std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

int64_t NumberOf(const channel::Fields& fields, const char* name, int64_t otherwise) {
  const int64_t number = SignedOf(fields, name, otherwise);
  return number < 0 ? otherwise : number;
}

// That a guest gives to what it makes: never more than it may, whatever it says.
mode_t ModeOf(const channel::Fields& fields, uint32_t most) {
  return static_cast<mode_t>(NumberOf(fields, "postern-mode", most)) & most;
}

std::string TextOf(const channel::Fields& fields, const char* name) {
  const std::string* text = FindField(fields, name);
  return text == nullptr ? "" : channel::UnescapeText(*text);
}

// What a guest is told of a mode.
mode_t Shown(mode_t mode) {
  return S_ISLNK(mode) ? 0
                       : mode & (S_ISDIR(mode) ? channel::kDirectoryModes : channel::kFileModes);
}

// Milliseconds since 1970.
std::string TextOf(const timespec& time) {
  return std::to_string(static_cast<double>(time.tv_sec) * 1000 +
                        static_cast<double>(time.tv_nsec) / 1e6);
}

Error Told(const std::string& what, const std::string& path) {
  const int errnum = errno;
  return Error{"cannot " + what + " " + path + ": " + std::strerror(errnum), errnum};
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
UniqueFd Name(int parent, const std::string& name) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, parent, name.c_str(), &how, sizeof how)));
}

// The entries of an open directory, without "." and ".."; takes the descriptor.
Result<std::vector<std::pair<std::string, unsigned char>>> Entries(UniqueFd fd,
                                                                   const std::string& path,
                                                                   size_t most = kMaxNames) {
  OwnDirectory directory(::fdopendir(fd.get()));
  if (!directory) return Told("list", path);
  (void)fd.release();
  std::vector<std::pair<std::string, unsigned char>> entries;
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (entries.size() >= most)
      return Error{path + " has more than " + std::to_string(most) + " entries", EFBIG};
    entries.emplace_back(name, entry->d_type);
  }
  if (errno != 0) return Told("list", path);
  return entries;
}

}  // namespace

struct FilesBinding::Writing {
  UniqueFd file;
  int64_t offset = 0;  // -1: at the end
  int64_t size = 0;    // of what was written
  std::string path;
  std::optional<Error> failed;
  // Of one that is whole or not there: its other name, and the directory of both.
  UniqueFd directory;
  std::string temporary, name;

  ~Writing() {
    if (!temporary.empty()) ::unlinkat(directory.get(), temporary.c_str(), 0);
  }
};

FilesBinding::Open::Open() = default;
FilesBinding::Open::Open(Open&&) noexcept = default;
FilesBinding::Open::~Open() = default;

FilesBinding::FilesBinding(boost::asio::io_context& io, const MountTable& mounts, UniqueFd in,
                           UniqueFd out, std::function<void()> ended)
    : mounts_(mounts),
      channel_(io, channel::Http2Session::Role::kBrokerServer, kMaxRequests, *this, std::move(in),
               std::move(out), std::move(ended)) {
  // Without them inodes beyond the first million are told apart all the same.
  (void)!::getrandom(secret_.data(), sizeof secret_, 0);
}

Result<MountedPath> FilesBinding::FindToWrite(const std::string& path, Last last) const {
  auto place = mounts_.Find(path, last);
  if (place && !place->mount->writable) {
    const std::string guest = place->mount->guest.empty() ? "/" : place->mount->guest;
    return Error{path + " may be read only; add --mount=" + guest +
                     ":rw, or --mount=HOST:" + guest + ":rw for a directory of another name",
                 EACCES};
  }
  return place;
}

Result<UniqueFd> FilesBinding::Follow(const MountedPath& place, int flags, const std::string& path,
                                      channel::Fields& fields) const {
  auto fd = OpenBeneath(place, flags, path, 0, RESOLVE_NO_SYMLINKS);
  if (!place.walked) {
    if (fd || fd.error().errnum != ELOOP) return fd;
    fd = OpenBeneath(place, flags, path);
  }
  if (!fd) return fd;
  auto real = place.walked ? Result<MountedPath>(place) : mounts_.Walk(place, Last::kFollow, path);
  if (!real) return real.error();
  if (PathOf(*real) != path) fields.push_back({"postern-real", channel::EscapeText(PathOf(*real))});
  return fd;
}

Result<std::pair<UniqueFd, std::string>> FilesBinding::OpenParent(const MountedPath& place,
                                                                  const std::string& path) {
  const size_t slash = place.relative.rfind('/');
  const std::string name = place.relative.substr(slash == std::string::npos ? 0 : slash + 1);
  if (name.empty() || name == "." || name == "..")
    return Error{path + " is a mount itself, which stays as it is", EBUSY};
  const MountedPath parent{place.mount,
                           slash == std::string::npos ? "." : place.relative.substr(0, slash)};
  auto fd = OpenBeneath(parent, O_PATH | O_DIRECTORY, path);
  if (!fd) return fd.error();
  return std::pair{*std::move(fd), name};
}

// Removes `name` in `parent` with all beneath. Descriptors of directories are opened without
// following links.
Status FilesBinding::RemoveAll(int parent, const std::string& name, const std::string& path,
                               int depth) const {
  if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return Ok{};
  if (errno != EISDIR && errno != EPERM) return Told("remove", path);
  if (depth > kMaxDepth) return Error{path + " is too deep to be removed", ENAMETOOLONG};
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, parent, name.c_str(), &how, sizeof how)));
  if (!fd.valid()) return Told("remove", path);
  if (Status s = mounts_.MayChange(fd.get(), path); !s) return s;
  UniqueFd again(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  auto entries = Entries(std::move(again), path);
  if (!entries) return entries.error();
  for (const auto& [entry, type] : *entries) {
    if (Status s = RemoveAll(fd.get(), entry, path + "/" + entry, depth + 1); !s) return s;
  }
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0) return Told("remove", path);
  return Ok{};
}

Status FilesBinding::MayChange(int parent, const std::string& name, const std::string& path) const {
  const UniqueFd fd = Name(parent, name);
  // A link is no directory; what cannot be opened, the call itself refuses.
  return fd.valid() ? mounts_.MayChange(fd.get(), path) : Status(Ok{});
}

// In the order in which the guest meets them: they tell nothing else. There is room for a million;
// a later file gets a number by a secret function, which is hardly ever another's too.
std::pair<uint64_t, uint64_t> FilesBinding::InodeAndDevice(const struct stat& st) {
  const uint64_t device =
      devices_.try_emplace(st.st_dev, devices_.size() + kFirstDevice).first->second;
  const std::pair<dev_t, ino_t> id{st.st_dev, st.st_ino};
  if (const auto known = inodes_.find(id); known != inodes_.end()) return {known->second, device};
  if (inodes_.size() < kMaxKnown) return {inodes_[id] = inodes_.size() + 1, device};
  uint64_t mixed = st.st_ino ^ secret_[0];
  for (const uint64_t key : secret_) {
    mixed = (mixed ^ mixed >> 31 ^ key) * 0x9fb21c651e98df25;
    mixed ^= mixed >> 29;
  }
  return {kAbove | mixed % kAbove, device};
}

Result<channel::Fields> FilesBinding::Head(const std::string& path, bool follow) {
  auto place = mounts_.Find(path, follow ? Last::kFollow : Last::kKeep);
  if (!place) return place.error();
  channel::Fields fields = {{":status", "200"}};
  auto fd = follow ? Follow(*place, O_PATH, path, fields)
                   : OpenBeneath(*place, O_PATH | O_NOFOLLOW, path);
  if (!fd) return fd.error();
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return Told("look at", path);
  const bool directory = S_ISDIR(st.st_mode);
  const auto [inode, device] = InodeAndDevice(st);
  if (S_ISLNK(st.st_mode)) {
    auto target = TargetOf(fd->get(), path);
    if (!target) return target.error();
    // A path of the host's is none of the guest's.
    if (!target->starts_with('/'))
      fields.push_back({"postern-target", channel::EscapeText(*target)});
  }
  fields.insert(fields.end(), {{"postern-kind", directory             ? "directory"
                                                : S_ISREG(st.st_mode) ? "file"
                                                : S_ISLNK(st.st_mode) ? "link"
                                                                      : "other"},
                               {"postern-size", std::to_string(directory ? 0 : st.st_size)},
                               {"postern-mode", std::to_string(Shown(st.st_mode))},
                               {"postern-accessed", TextOf(st.st_atim)},
                               {"postern-modified", TextOf(st.st_mtim)},
                               {"postern-changed", TextOf(st.st_ctim)},
                               {"postern-inode", std::to_string(inode)},
                               {"postern-device", std::to_string(device)},
                               {"postern-writable", place->mount->writable ? "1" : "0"}});
  return fields;
}

Status FilesBinding::Get(int32_t stream, const std::string& path, const channel::Fields& fields) {
  auto place = mounts_.Find(path, Last::kFollow);
  if (!place) return place.error();
  channel::Fields found = {{":status", "200"}};
  auto fd = Follow(*place, O_RDONLY, path, found);
  if (!fd) return fd.error();
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return Told("read", path);
  if (S_ISDIR(st.st_mode)) return Error{path + " is a directory", EISDIR};
  if (!S_ISREG(st.st_mode)) return Error{path + " is no regular file", EACCES};
  const int64_t offset = NumberOf(fields, "postern-offset", 0);
  const int64_t length = NumberOf(fields, "postern-length", INT64_MAX);
  const int64_t most = std::min(kMaxFileBytes, NumberOf(fields, "postern-most", kMaxFileBytes));
  if (std::min<int64_t>(length, st.st_size - offset) > most) {
    return Error{path + " has " + std::to_string(st.st_size) + " bytes, more than the limit of " +
                     std::to_string(most),
                 EFBIG};
  }
  if (offset > 0 && ::lseek(fd->get(), offset, SEEK_SET) < 0) return Told("read", path);
  Open& open = open_[stream];
  open.file = *std::move(fd);
  open.left = std::min(length, kMaxFileBytes);
  if (!channel_.session().Respond(stream, found, true))
    channel_.session().Reset(stream, NGHTTP2_INTERNAL_ERROR);
  return Ok{};
}

Status FilesBinding::List(int32_t stream, const std::string& path, const channel::Fields& fields) {
  auto place = mounts_.Find(path, Last::kFollow);
  if (!place) return place.error();
  auto fd = OpenBeneath(*place, O_RDONLY | O_DIRECTORY, path);
  if (!fd) return fd.error();
  const auto most = static_cast<size_t>(NumberOf(fields, "postern-most", kMaxNames));
  auto entries = Entries(*std::move(fd), path, std::min(most, kMaxNames));
  if (!entries) return entries.error();
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [name, type] : *entries) {
    list.push_back({name, type == DT_DIR   ? "directory"
                          : type == DT_REG ? "file"
                          : type == DT_LNK ? "link"
                                           : "other"});
  }
  Open& open = open_[stream];
  open.text = list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  open.left = static_cast<int64_t>(open.text.size());
  if (!channel_.session().Respond(stream, {{":status", "200"}}, true))
    channel_.session().Reset(stream, NGHTTP2_INTERNAL_ERROR);
  return Ok{};
}

Status FilesBinding::MayMake(const std::string& path) const {
  if (made_ >= kMaxFilesMade)
    return Error{path + " would be one file more than the " + std::to_string(kMaxFilesMade) +
                     " that a guest may make",
                 ENOSPC};
  return Ok{};
}

mode_t FilesBinding::ModeInPlaceOf(int parent, const std::string& name, mode_t mode) {
  const UniqueFd there = Name(parent, name);
  struct stat st {};
  if (!there.valid() || ::fstat(there.get(), &st) != 0 || !S_ISREG(st.st_mode)) return mode;
  return st.st_mode & channel::kFileModes;
}

Status FilesBinding::BeginPut(int32_t stream, const std::string& path,
                              const channel::Fields& fields) {
  const std::string how = TextOf(fields, "postern-how");
  const mode_t mode = ModeOf(fields, channel::kFileModes);
  const bool of_the_name = how == "whole" || how == "new";  // a link there is no way to go
  auto place = FindToWrite(path, of_the_name ? Last::kKeep : Last::kFollow);
  if (!place) return place.error();
  auto writing = std::make_unique<Writing>();
  writing->path = path;
  if (how == "whole") {
    auto parent = OpenParent(*place, path);
    if (!parent) return parent.error();
    if (Status s = MayMake(path); !s) return s;
    uint64_t salt = 0;
    if (::getrandom(&salt, sizeof salt, 0) != sizeof salt) return Told("write", path);
    std::string temporary = ".postern-" + std::to_string(salt);
    open_how beneath{};
    beneath.flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    beneath.mode = ModeInPlaceOf(parent->first.get(), parent->second, mode);
    beneath.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    writing->file.reset(static_cast<int>(
        ::syscall(SYS_openat2, parent->first.get(), temporary.c_str(), &beneath, sizeof beneath)));
    if (!writing->file.valid()) return Told("write", path);
    ++made_;
    writing->directory = std::move(parent->first);
    writing->name = parent->second;
    writing->temporary = std::move(temporary);
  } else {
    int flags = O_WRONLY;
    if (how == "write") flags |= O_CREAT | O_TRUNC;
    if (how == "new") flags |= O_CREAT | O_EXCL;
    if (how == "append") flags |= O_CREAT | O_APPEND;
    // Looked at first: opening a pipe or a device may do something.
    struct stat st {};
    bool made = false;
    if (auto known = OpenBeneath(*place, O_PATH, path)) {
      if (::fstat(known->get(), &st) != 0) return Told("write", path);
      if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return Error{path + " is no regular file", EACCES};
    } else if (how != "update") {
      if (Status s = MayMake(path); !s) return s;
      made = true;
    }
    auto fd = OpenBeneath(*place, flags, path, (flags & O_CREAT) != 0 ? mode : 0);
    if (!fd) return fd.error();
    if (made) ++made_;
    if (::fstat(fd->get(), &st) != 0) return Told("write", path);
    if (!S_ISREG(st.st_mode)) return Error{path + " is no regular file", EACCES};
    writing->file = *std::move(fd);
    writing->offset = how == "append" ? -1 : NumberOf(fields, "postern-offset", 0);
    if (how == "append") writing->size = st.st_size;
    if (const std::string* length = FindField(fields, "postern-truncate"); length != nullptr) {
      const int64_t size = NumberOf(fields, "postern-truncate", 0);
      if (size > kMaxFileBytes)
        return Error{
            path + " would have more bytes than the limit of " + std::to_string(kMaxFileBytes),
            EFBIG};
      if (::ftruncate(writing->file.get(), size) != 0) return Told("write", path);
    }
  }
  open_[stream].writing = std::move(writing);
  return Ok{};
}

Status FilesBinding::FinishPut(Writing& writing) {
  if (writing.failed) return *writing.failed;
  if (writing.temporary.empty()) return Ok{};
  // On the disk before it has its name: after a crash there is the old file or the new one.
  if (::fsync(writing.file.get()) != 0) return Told("write", writing.path);
  if (Rename(writing.directory.get(), writing.temporary.c_str(), writing.directory.get(),
             writing.name.c_str()) != 0)
    return Told("write", writing.path);
  writing.temporary.clear();
  return Ok{};
}

Status FilesBinding::MakeDirectory(const std::string& path, bool all, mode_t mode) {
  auto place = FindToWrite(path, all ? Last::kFollow : Last::kKeep);
  if (!place) return place.error();
  if (all) {
    // What is there already stays.
    for (size_t at = 0; at != std::string::npos;) {
      at = place->relative.find('/', at + 1);
      const MountedPath above{place->mount, place->relative.substr(0, at)};
      if (OpenBeneath(above, O_PATH | O_DIRECTORY, path)) continue;
      auto parent = OpenParent(above, path);
      if (!parent) return parent.error();
      if (Status s = MayMake(path); !s) return s;
      if (::mkdirat(parent->first.get(), parent->second.c_str(), mode) == 0) {
        ++made_;
        continue;
      }
      if (errno == EEXIST && at != std::string::npos) errno = ENOTDIR;  // a file stands in between
      return Told("make", path);
    }
    return Ok{};
  }
  if (place->relative == ".") return Error{"cannot make " + path + ": it is there already", EEXIST};
  auto parent = OpenParent(*place, path);
  if (!parent) return parent.error();
  if (Status s = MayMake(path); !s) return s;
  if (::mkdirat(parent->first.get(), parent->second.c_str(), mode) != 0) return Told("make", path);
  ++made_;
  return Ok{};
}

Status FilesBinding::Remove(const std::string& path, const std::string& kind, bool all) {
  auto place = FindToWrite(path, Last::kKeep);
  if (!place) return place.error();
  auto parent = OpenParent(*place, path);
  if (!parent) return parent.error();
  const auto& [directory, name] = *parent;
  if (Status s = MayChange(directory.get(), name, path); !s) return s;
  if (all) return RemoveAll(directory.get(), name, path, 0);
  const int flags = kind == "directory" ? AT_REMOVEDIR : 0;
  if (::unlinkat(directory.get(), name.c_str(), flags) != 0) {
    // Linux says EISDIR or EPERM for a directory that is to be removed as a file.
    if (errno == EPERM && flags == 0) errno = EISDIR;
    return Told("remove", path);
  }
  return Ok{};
}

Status FilesBinding::Move(const std::string& from, const std::string& to) {
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
    return Told("rename " + from + " to", to);
  return Ok{};
}

Status FilesBinding::SetTimes(const std::string& path, int64_t accessed, int64_t modified) {
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
  const timespec times[] = {time_of(accessed), time_of(modified)};
  if (::utimensat(file->get(), "", times, AT_EMPTY_PATH) != 0)
    return Told("set the times of", path);
  return Ok{};
}

void FilesBinding::RespondError(int32_t stream, const Error& error) {
  const channel::Failure failure{"http_request_error", ErrorName(error.errnum), error.message};
  if (!channel_.session().Respond(stream, channel::FailureResponse(failure), false))
    channel_.session().Reset(stream, NGHTTP2_INTERNAL_ERROR);
}

void FilesBinding::Respond(int32_t stream, const Status& status) {
  if (!status) return RespondError(stream, status.error());
  if (!channel_.session().Respond(stream, {{":status", "204"}}, false))
    channel_.session().Reset(stream, NGHTTP2_INTERNAL_ERROR);
}

void FilesBinding::OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) {
  const std::string* method_field = FindField(fields, ":method");
  const std::string method = method_field == nullptr ? "" : *method_field;
  const std::string path = TextOf(fields, "postern-path");
  const bool all = TextOf(fields, "postern-all") == "1";
  if (path.empty() || path[0] != '/')
    return RespondError(stream, {"a path begins with a slash", EINVAL});
  if (method == "HEAD") {
    auto found = Head(path, TextOf(fields, "postern-follow") != "0");
    if (!found) return RespondError(stream, found.error());
    if (!channel_.session().Respond(stream, *found, false))
      channel_.session().Reset(stream, NGHTTP2_INTERNAL_ERROR);
  } else if (method == "GET") {
    if (Status s = Get(stream, path, fields); !s) RespondError(stream, s.error());
  } else if (method == "PROPFIND") {
    if (Status s = List(stream, path, fields); !s) RespondError(stream, s.error());
  } else if (method == "PUT") {
    if (Status s = BeginPut(stream, path, fields); !s) return RespondError(stream, s.error());
    if (end_stream) OnEndOfBody(stream);
  } else if (method == "MKCOL") {
    Respond(stream, MakeDirectory(path, all, ModeOf(fields, channel::kDirectoryModes)));
  } else if (method == "DELETE") {
    Respond(stream, Remove(path, TextOf(fields, "postern-kind"), all));
  } else if (method == "MOVE") {
    Respond(stream, Move(path, TextOf(fields, "postern-to")));
  } else if (method == "PROPPATCH") {
    Respond(stream, SetTimes(path, SignedOf(fields, "postern-accessed", 0),
                             SignedOf(fields, "postern-modified", 0)));
  } else {
    RespondError(stream, {"there is no such request of files", EINVAL});
  }
}

void FilesBinding::OnData(int32_t stream, std::span<const uint8_t> data) {
  const auto open = open_.find(stream);
  Writing* writing = open == open_.end() ? nullptr : open->second.writing.get();
  channel_.session().Consume(stream, data.size());
  if (writing == nullptr || writing->failed) return;
  const auto bytes = static_cast<int64_t>(data.size());
  written_ += bytes;
  if (written_ > kMaxWrittenBytes) {
    writing->failed =
        Error{"more than the " + std::to_string(kMaxWrittenBytes) + " bytes that a guest may write",
              ENOSPC};
    return;
  }
  writing->size = std::max(writing->size, std::max<int64_t>(writing->offset, 0)) +
                  (writing->offset < 0 ? bytes : 0);
  if ((writing->offset < 0 ? writing->size : writing->offset + bytes) > kMaxFileBytes) {
    writing->failed = Error{
        writing->path + " would have more bytes than the limit of " + std::to_string(kMaxFileBytes),
        EFBIG};
    return;
  }
  while (!data.empty()) {
    const ssize_t n = Uninterrupted([&] {
      return writing->offset < 0
                 ? ::write(writing->file.get(), data.data(), data.size())
                 : ::pwrite(writing->file.get(), data.data(), data.size(), writing->offset);
    });
    if (n < 0) {
      writing->failed = Told("write", writing->path);
      return;
    }
    if (writing->offset >= 0) writing->offset += n;
    data = data.subspan(static_cast<size_t>(n));
  }
}

void FilesBinding::OnEndOfBody(int32_t stream) {
  const auto open = open_.find(stream);
  if (open == open_.end() || open->second.writing == nullptr) return;
  const Status finished = FinishPut(*open->second.writing);
  open_.erase(open);
  Respond(stream, finished);
}

void FilesBinding::OnClosed(int32_t stream, uint32_t /*error*/) { open_.erase(stream); }

size_t FilesBinding::ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                              channel::Fields* trailers) {
  const auto found = open_.find(stream);
  if (found == open_.end()) {
    *end = true;
    return 0;
  }
  Open& open = found->second;
  const auto most =
      static_cast<size_t>(std::min<int64_t>(open.left, static_cast<int64_t>(out.size())));
  if (!open.file.valid()) {
    open.text.copy(reinterpret_cast<char*>(out.data()), most,
                   open.text.size() - static_cast<size_t>(open.left));
    open.left -= static_cast<int64_t>(most);
    *end = open.left == 0;
    return most;
  }
  const ssize_t n =
      most == 0 ? 0 : Uninterrupted([&] { return ::read(open.file.get(), out.data(), most); });
  if (n > 0) {
    open.left -= n;
    return static_cast<size_t>(n);
  }
  *end = true;
  if (n < 0)
    trailers->push_back(
        {"proxy-status", channel::FormatProxyStatus(
                             {"http_request_error", "EIO", "cannot read the file to its end"})});
  return 0;
}

}  // namespace postern::broker
