#include "broker/files/files_mounts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstring>

#include "base/format.h"
#include "base/text.h"
#include "broker/files/file_error.h"

namespace postern::broker {
namespace {

constexpr int kMaxLinks = 40;       // on the way to one file, as the kernel has it
constexpr int kMaxAncestors = 256;  // of a mount, up to the root

// The names of a path but "" and ".".
std::vector<std::string> Names(const std::string& path) {
  std::vector<std::string> names;
  for (size_t at = 0; at < path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    std::string name = path.substr(at, slash - at);
    if (!name.empty() && name != ".") names.push_back(std::move(name));
    at = slash + 1;
  }
  return names;
}

std::string Joined(const std::vector<std::string>& names, size_t from) {
  std::string joined;
  for (size_t i = from; i < names.size(); ++i) joined += (i > from ? "/" : "") + names[i];
  return joined.empty() ? "." : joined;
}

bool BeginsWith(const std::vector<std::string>& names, const std::vector<std::string>& first) {
  return names.size() >= first.size() && std::equal(first.begin(), first.end(), names.begin());
}

UniqueFd Directory(const BrokerMount& mount, const std::string& at) {
  auto fd = OpenBeneath({&mount, at}, O_PATH | O_DIRECTORY, at);
  return fd ? *std::move(fd) : UniqueFd();
}

}  // namespace

std::string PathOf(const MountedPath& place) {
  if (place.relative != ".") return fmt::format("{}/{}", place.mount->guest, place.relative);
  return place.mount->guest.empty() ? "/" : place.mount->guest;
}

Result<UniqueFd> OpenBeneath(const MountedPath& place, int flags, const std::string& path,
                             uint64_t mode, uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC |
              ((flags & O_PATH) != 0 ? 0 : O_NONBLOCK | O_NOCTTY);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve;
  UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, place.mount->directory.get(),
                                         place.relative.c_str(), &how, sizeof how)));
  if (!fd.valid()) {
    if (errno == EXDEV) return Error{fmt::format("{} leads out of its mount", path), errno};
    if (errno == ELOOP) return Error{fmt::format("{} leads over too many links", path), errno};
    return FileError("open", path);
  }
  return fd;
}

Result<std::string> TargetOf(int link, const std::string& path) {
  char target[PATH_MAX];
  const ssize_t n = ::readlinkat(link, "", target, sizeof target);
  if (n < 0) return FileError("look at", path);
  return std::string(target, static_cast<size_t>(n));
}

MountTable::MountTable(std::vector<BrokerMount> mounts) : mounts_(std::move(mounts)) {
  for (BrokerMount& m : mounts_) {
    const auto names = Names(m.guest);
    m.guest = names.empty() ? "" : fmt::format("/{}", Joined(names, 0));
    KeepAbove(m.directory.get());
  }
  for (const BrokerMount& outer : mounts_) {
    Outer& o = outers_.emplace_back(Outer{&outer, {}});
    const auto above = Names(outer.guest);
    for (const BrokerMount& inner : mounts_) {
      const auto names = Names(inner.guest);
      if (names.size() == above.size() || !BeginsWith(names, above)) continue;
      Inner i{&inner, Joined(names, above.size()), {}, {}, {}};
      struct stat st {};
      if (::fstat(inner.directory.get(), &st) == 0) i.root = {st.st_dev, st.st_ino};
      i.hidden = Directory(outer, i.at);
      if (i.hidden.valid()) {
        if (::fstat(i.hidden.get(), &st) == 0) i.hidden_id = {st.st_dev, st.st_ino};
        KeepAbove(i.hidden.get());
      }
      o.inner.push_back(std::move(i));
    }
    // Of those that the same directory is, one that is read only.
    std::stable_sort(o.inner.begin(), o.inner.end(), [](const Inner& a, const Inner& b) {
      return !a.mount->writable && b.mount->writable;
    });
  }
}

// It, and all that it stands in as far as this user sees.
void MountTable::KeepAbove(int directory) {
  UniqueFd at(::fcntl(directory, F_DUPFD_CLOEXEC, 0));
  for (int i = 0; i < kMaxAncestors && at.valid(); ++i) {
    struct stat st {};
    if (::fstat(at.get(), &st) != 0 || !kept_.insert({st.st_dev, st.st_ino}).second) return;
    at.reset(::openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
}

const MountTable::Outer& MountTable::OuterOf(const BrokerMount* mount) const {
  return outers_[static_cast<size_t>(mount - mounts_.data())];
}

const BrokerMount* MountTable::InnerAt(const Outer& outer, const struct stat& directory) const {
  const Id id{directory.st_dev, directory.st_ino};
  for (const Inner& i : outer.inner) {
    if (i.hidden.valid() && i.hidden_id == id) return i.mount;
    // The host may have put another there since.
    struct stat st {};
    const UniqueFd now = Directory(*outer.mount, i.at);
    if (now.valid() && ::fstat(now.get(), &st) == 0 && Id{st.st_dev, st.st_ino} == id)
      return i.mount;
  }
  for (const Inner& i : outer.inner) {
    if (i.root == id) return i.mount;
  }
  return nullptr;
}

const BrokerMount* MountTable::Around(const std::vector<std::string>& names) const {
  const BrokerMount* best = nullptr;
  size_t length = 0;
  for (const BrokerMount& m : mounts_) {
    const auto above = Names(m.guest);
    if (!BeginsWith(names, above) || (best != nullptr && above.size() <= length)) continue;
    best = &m;
    length = above.size();
  }
  return best;
}

Result<MountedPath> MountTable::Find(const std::string& path, Last last) const {
  if (path.find('\0') != std::string::npos)
    return Error{"a path cannot contain a zero byte", ENOENT};
  const auto names = Names(path);
  const BrokerMount* mount = Around(names);
  if (mount == nullptr) return Error{OutsideMounts(path), EACCES};
  MountedPath place{mount, Joined(names, Names(mount->guest).size())};
  // Where nothing lies inside, the kernel alone sees to it that a path stays beneath its mount;
  // where one leads out, it may lead into another.
  if (OuterOf(mount).inner.empty()) {
    if (mounts_.size() == 1) return place;
    const int keep = last == Last::kKeep ? O_NOFOLLOW : 0;
    const auto there = OpenBeneath(place, O_PATH | keep, path);
    if (there || there.error().errnum != EXDEV) return place;
  }
  return Walk(place, last, path);
}

Result<MountedPath> MountTable::Walk(const MountedPath& place, Last last,
                                     const std::string& path) const {
  const Error too_far{fmt::format("{} leads out of its mount", path), EXDEV};
  std::vector<std::string> ahead;  // the next name is the last
  const auto put = [&](const std::vector<std::string>& names, size_t from) {
    ahead.insert(ahead.end(), names.rbegin(), names.rend() - static_cast<std::ptrdiff_t>(from));
  };
  put(Names(place.relative), 0);
  const BrokerMount* mount = place.mount;  // nullptr: between mounts
  std::vector<std::string> real;           // without links, beneath the mount; or beneath the root
  // In the mount that `real`, from the root, is in.
  const auto enter = [&] {
    mount = Around(real);
    if (mount == nullptr) return;
    put(real, Names(mount->guest).size());
    real.clear();
  };
  for (int links = 0; !ahead.empty();) {
    const std::string name = std::move(ahead.back());
    ahead.pop_back();
    if (name == ".." && mount != nullptr && real.empty()) {
      real = Names(mount->guest);
      if (!real.empty()) real.pop_back();
      enter();
      continue;
    }
    if (name == "..") {
      if (!real.empty()) real.pop_back();
      if (mount == nullptr) enter();
      continue;
    }
    real.push_back(name);
    if (mount == nullptr) {
      enter();
      continue;
    }
    auto fd = OpenBeneath({mount, Joined(real, 0)}, O_PATH | O_NOFOLLOW, path);
    if (!fd && fd.error().errnum == ENOENT &&
        std::find(ahead.begin(), ahead.end(), "..") == ahead.end()) {
      // What is not there leads nowhere else.
      real.insert(real.end(), ahead.rbegin(), ahead.rend());
      break;
    }
    if (!fd) return fd.error();
    struct stat st {};
    if (::fstat(fd->get(), &st) != 0) return FileError("look at", path);
    if (S_ISLNK(st.st_mode)) {
      if (ahead.empty() && last == Last::kKeep) break;
      auto target = TargetOf(fd->get(), path);
      if (!target) return target.error();
      if (++links > kMaxLinks)
        return Error{fmt::format("{} leads over too many links", path), ELOOP};
      if (target->starts_with('/')) return too_far;  // the host's own path
      real.pop_back();
      put(Names(*target), 0);
    } else if (S_ISDIR(st.st_mode)) {
      const BrokerMount* inner = InnerAt(OuterOf(mount), st);
      if (inner == nullptr) continue;
      mount = inner;
      real.clear();
    }
  }
  if (mount == nullptr) return Error{OutsideMounts(fmt::format("/{}", Joined(real, 0))), EACCES};
  return MountedPath{mount, Joined(real, 0), true};
}

bool MountTable::Stays(Id id) const {
  if (kept_.contains(id)) return true;
  // What the host has put there since, on the way to a mount inside.
  for (const Outer& o : outers_) {
    for (const Inner& i : o.inner) {
      const auto names = Names(i.at);
      for (size_t n = 1; n <= names.size(); ++n) {
        struct stat st {};
        const UniqueFd now = Directory(
            *o.mount, Joined({names.begin(), names.begin() + static_cast<std::ptrdiff_t>(n)}, 0));
        if (!now.valid()) break;
        if (::fstat(now.get(), &st) == 0 && Id{st.st_dev, st.st_ino} == id) return true;
      }
    }
  }
  return false;
}

Status MountTable::MayChange(int directory, const std::string& path) const {
  struct stat st {};
  if (::fstat(directory, &st) != 0) return FileError("look at", path);
  if (S_ISDIR(st.st_mode) && Stays({st.st_dev, st.st_ino}))
    return Error{fmt::format("{} is a mount, or has one in it, and stays as it is", path), EBUSY};
  return Ok{};
}

}  // namespace postern::broker
