#include "supervisor/entry.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/eintr.h"
#include "har/har.h"
#include "policy/text.h"

namespace postern::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxModuleBytes = 64LL << 20;

Result<std::string> ReadAll(int fd, const std::string& name, int64_t max_bytes) {
  std::string bytes;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t n = Uninterrupted([&] { return ::read(fd, buffer, sizeof buffer); });
    if (n < 0) return SystemError("cannot read " + name);
    if (n == 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(n));
    if (static_cast<int64_t>(bytes.size()) > max_bytes) {
      return Error{name + " has more than the " + std::to_string(max_bytes) +
                   " bytes that it may have"};
    }
  }
}

Result<std::string> ReadModule(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
    return Error{path + " is a directory; name a file, such as " + path + "/main.mjs"};
  return ReadFile(path, kMaxModuleBytes);
}

// A file: URL of an absolute path: what a URL's path cannot hold is percent-encoded.
}  // namespace

Result<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return SystemError("cannot read " + path);
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return SystemError("cannot read " + path);
  if (!S_ISREG(st.st_mode)) return Error{path + " is no regular file"};
  return ReadAll(fd.get(), path, max_bytes);
}

Result<Recording> OpenRecording(const policy::Adapter& adapter) {
  if (adapter.kind != policy::AdapterKind::kReplay) return Recording{};
  UniqueFd fd(::open(adapter.target.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  struct stat st {};
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0)
    return SystemError("cannot read the recording " + adapter.target);
  if (st.st_size > static_cast<off_t>(har::kMaxHarBytes))
    return Error{adapter.target + " is larger than the " + std::to_string(har::kMaxHarBytes) +
                 " bytes that a recording may have"};
  const std::string parent = fs::path(adapter.target).parent_path();
  UniqueFd directory(
      ::open(parent.empty() ? "." : parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return SystemError("cannot open the directory of " + adapter.target);
  return Recording{std::move(fd), std::move(directory)};
}

Result<OpenMount> OpenDirectory(const std::string& host, const std::string& guest, bool writable) {
  UniqueFd fd(::open(host.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return SystemError("cannot mount " + host);
  return OpenMount{guest, std::move(fd), writable};
}

// As no-color.org and Node's FORCE_COLOR have it.
bool ShowsColours(int fd) {
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  };
  if (set("FORCE_COLOR")) return std::strcmp(std::getenv("FORCE_COLOR"), "0") != 0;
  return !set("NO_COLOR") && ::isatty(fd) != 0;
}

Result<Entry> ReadEntry(const Settings& s) {
  Entry entry;
  worker::Order& order = entry.order;
  std::string directory = "/";
  if (s.command == Settings::Command::kEval) {
    order.eval = true;
    order.print = !s.json;
    order.source = s.target;
    order.url = policy::CodeUrl(s.cwd.value_or(directory), "[eval].mjs");
    order.argv = {"postern", "[eval]"};
  } else if (s.target == "-") {
    auto source = ReadAll(0, "standard input", kMaxModuleBytes);
    if (!source) return source.error();
    order.source = *std::move(source);
    order.url = policy::CodeUrl(s.cwd.value_or(directory), "[stdin].mjs");
    order.argv = {"postern", "-"};
  } else {
    auto source = ReadModule(s.target);
    if (!source) return source.error();
    std::error_code error;
    const fs::path path = fs::canonical(s.target, error);
    if (error)
      return Error{"cannot read the module " + s.target + ": " + error.message(), error.value()};
    directory = path.parent_path();
    auto mount = OpenDirectory(directory, directory == "/" ? "" : directory, false);
    if (!mount) return mount.error();
    entry.mounts.push_back(*std::move(mount));
    order.source = *std::move(source);
    order.url = policy::FileUrl(path);
    order.argv = {"postern", path};
  }
  for (const policy::MountSetting& m : s.policy.mounts) {
    auto mount = OpenDirectory(m.host, m.guest, m.writable);
    if (!mount) return mount.error();
    entry.mounts.push_back(*std::move(mount));
  }
  for (const OpenMount& m : entry.mounts) order.mounts.push_back(m.guest);
  order.argv.insert(order.argv.end(), s.arguments.begin(), s.arguments.end());
  order.cwd = s.cwd.value_or(directory);
  order.colours =
      s.json ? 0 : (ShowsColours(STDOUT_FILENO) ? 1 : 0) | (ShowsColours(STDERR_FILENO) ? 2 : 0);
  return entry;
}

std::string TimeZone() {
  if (const char* tz = std::getenv("TZ"); tz != nullptr && *tz != '\0') return tz;
  std::error_code error;
  const std::string target = fs::read_symlink("/etc/localtime", error);
  const size_t at = target.find("zoneinfo/");
  return at == std::string::npos ? "UTC" : target.substr(at + 9);
}

}  // namespace postern::supervisor
