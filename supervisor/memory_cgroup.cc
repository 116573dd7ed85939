#include "supervisor/memory_cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <sstream>

#include "base/eintr.h"
#include "base/format.h"
#include "base/unique_fd.h"

namespace postern::supervisor {
namespace {

constexpr const char* kOwnLeaf = "/postern";
constexpr const char* kGuest = "/postern-guest-";

// A file of the kernel's, which is small; empty where it cannot be read.
std::string ReadFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t n = Uninterrupted([&] { return ::read(fd.get(), buffer, sizeof buffer); });
    if (n <= 0) return text;
    text.append(buffer, static_cast<size_t>(n));
  }
}

Status WriteFile(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemError(fmt::format("cannot open {}", path));
  const ssize_t n = Uninterrupted([&] { return ::write(fd.get(), text.data(), text.size()); });
  if (n < 0) return SystemError(fmt::format("cannot write {} to {}", text, path));
  return Ok{};
}

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// The path after "N:CONTROLLERS:" of the line for `controllers` in /proc/self/cgroup.
std::string PathOf(const std::string& table, std::string_view controllers) {
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    if (std::string_view(line).substr(first + 1, second - first - 1) == controllers)
      return line.substr(second + 1);
  }
  return {};
}

bool Marked(const std::string& directory) {
  for (const char* name : {"user.delegate", "trusted.delegate"}) {
    char value = 0;
    if (::getxattr(directory.c_str(), name, &value, 1) == 1 && value == '1') return true;
  }
  return false;
}

// This user's, with no process in it but this one.
bool OwnAlone(const std::string& directory) {
  struct stat st {};
  return ::geteuid() != 0 && ::stat(directory.c_str(), &st) == 0 && st.st_uid == ::geteuid() &&
         ReadFile(fmt::format("{}/cgroup.procs", directory)) == fmt::format("{}\n", ::getpid());
}

// Moves this process into a leaf of `directory`, and gives the controller to its children.
Status BecomeLeaf(const std::string& directory) {
  const std::string leaf = directory + kOwnLeaf;
  const std::string pid = std::to_string(::getpid());
  if (::mkdir(leaf.c_str(), 0755) != 0 && errno != EEXIST)
    return SystemError(fmt::format("cannot make {}", leaf));
  if (Status s = WriteFile(fmt::format("{}/cgroup.procs", leaf), pid); !s) return s;
  if (Status s = WriteFile(fmt::format("{}/cgroup.subtree_control", directory), "+memory"); !s) {
    // Another process is there, most likely: all as it was.
    if (WriteFile(fmt::format("{}/cgroup.procs", directory), pid)) ::rmdir(leaf.c_str());
    return s;
  }
  return Ok{};
}

bool HasWord(const std::string& text, const std::string& word) {
  std::istringstream words(text);
  for (std::string w; words >> w;) {
    if (w == word) return true;
  }
  return false;
}

std::string Parent(const std::string& directory) {
  return directory.substr(0, directory.rfind('/'));
}

}  // namespace

MemoryCgroup::~MemoryCgroup() { ::rmdir(directory_.c_str()); }

bool MemoryCgroup::KilledInside() const {
  // Version 1 has the count in memory.oom_control, 2 in memory.events: "oom_kill N".
  for (const char* file : {"/memory.events", "/memory.oom_control"}) {
    std::istringstream words(ReadFile(directory_ + file));
    std::string name;
    int64_t count = 0;
    while (words >> name >> count) {
      if (name == "oom_kill" && count > 0) return true;
    }
  }
  return false;
}

Result<MemoryCgroups> MemoryCgroups::Find(const std::string& mounts, const std::string& self) {
  const std::string table = ReadFile(self);
  if (const std::string path = PathOf(table, "memory"); !path.empty()) {
    const std::string directory = fmt::format("{}/memory{}", mounts, path);
    if (!Exists(fmt::format("{}/memory.limit_in_bytes", directory)))
      return Error{fmt::format("the memory cgroup {} cannot be seen from here", path)};
    // systemd marks its own hierarchy only, which is one of version 2 beside those of version 1.
    if (!Marked(directory) && !Marked(fmt::format("{}/unified{}", mounts, path)))
      return Error{fmt::format("the memory cgroup {} is not delegated", path)};
    return MemoryCgroups(directory, 1);
  }
  const std::string path = PathOf(table, "");
  if (path.empty()) return Error{"this kernel has no memory cgroups"};
  const std::string directory = mounts + (path == "/" ? "" : path);
  if (!Exists(fmt::format("{}/cgroup.controllers", directory)))
    return Error{fmt::format("the cgroup {} cannot be seen from here", path)};
  // With DelegateSubgroup= this process is in a leaf of what was delegated; or Find was called
  // before.
  if (path != "/" && (Marked(Parent(directory)) || path.ends_with(kOwnLeaf)) &&
      HasWord(ReadFile(fmt::format("{}/cgroup.subtree_control", Parent(directory))), "memory"))
    return MemoryCgroups(Parent(directory), 2);
  const bool namespace_root = path == "/" && Exists(fmt::format("{}/cgroup.type", directory)) &&
                              ::access(directory.c_str(), W_OK) == 0;
  if (!namespace_root && !Marked(directory) && !OwnAlone(directory))
    return Error{fmt::format("the cgroup {} is not delegated", path)};
  if (!HasWord(ReadFile(fmt::format("{}/cgroup.controllers", directory)), "memory"))
    return Error{fmt::format("the cgroup {} has no memory controller", path)};
  if (Status s = BecomeLeaf(directory); !s) return s.error();
  return MemoryCgroups(directory, 2);
}

Result<std::unique_ptr<MemoryCgroup>> MemoryCgroups::Confine(pid_t pid, int64_t bytes) const {
  const std::string id = std::to_string(pid), limit = std::to_string(bytes);
  const std::string directory = directory_ + kGuest + id;
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return SystemError(fmt::format("cannot make the cgroup {}", directory));
  auto cgroup = std::make_unique<MemoryCgroup>(directory);
  const std::string swap = version_ == 1 ? "/memory.memsw.limit_in_bytes" : "/memory.swap.max";
  Status s =
      WriteFile(directory + (version_ == 1 ? "/memory.limit_in_bytes" : "/memory.max"), limit);
  // Kernels without swap accounting have no such file. Version 1 counts memory and swap together.
  if (s && Exists(directory + swap)) s = WriteFile(directory + swap, version_ == 1 ? limit : "0");
  if (s) s = WriteFile(fmt::format("{}/cgroup.procs", directory), id);
  if (!s) return s.error();
  return cgroup;
}

}  // namespace postern::supervisor
