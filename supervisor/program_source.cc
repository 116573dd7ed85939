#include "supervisor/program_source.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "base/eintr.h"
#include "base/format.h"
#include "base/text.h"
#include "har/har.h"
#include "supervisor/package_files.h"

namespace postern::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxModuleBytes = 64LL << 20;

Result<std::string> ReadAll(int fd, const std::string& name, int64_t max_bytes) {
  std::string bytes;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t n = Uninterrupted([&] { return ::read(fd, buffer, sizeof buffer); });
    if (n < 0) return SystemError(fmt::format("cannot read {}", name));
    if (n == 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(n));
    if (static_cast<int64_t>(bytes.size()) > max_bytes) {
      return Error{fmt::format("{} has more than the {} bytes that it may have", name, max_bytes)};
    }
  }
}

// What to do where there is no file `target`, as a part of a sentence.
std::string Meant(const std::string& target) {
  constexpr std::string_view kFile = "file://";
  const auto begins = [&](std::string_view with) { return target.starts_with(with); };
  if (const size_t path = target.find('/', kFile.size()); begins(kFile) && path != target.npos)
    return fmt::format("; write its path: {}", PercentDecode(target.substr(path)));
  if (begins("http://") || begins("https://"))
    return "; nothing is run over the network: fetch it, and name the file";
  if (begins("npm:") || begins("jsr:")) {
    const std::string name = target.substr(target.find(':') + 1);
    return fmt::format("; install it ({}{}), and name its directory in node_modules",
                       begins("npm:") ? "npm install " : "npx jsr add ", name);
  }
  if (target.find_first_of("(){};'\"`\n") != std::string::npos)
    return "; code is run by: postern eval CODE";
  for (const char* extension : {".mjs", ".js", ".cjs", ".ts", ".mts", ".cts", ".tsx", ".jsx"}) {
    if (fs::is_regular_file(target + extension))
      return fmt::format("; did you mean {}{}?", target, extension);
  }
  return {};
}

// The file that `target` names: itself, or a package's program.
Result<fs::path> FileOf(const std::string& target) {
  struct stat st {};
  if (::stat(target.c_str(), &st) != 0) {
    const Error missing = SystemError(fmt::format("cannot read {}", target));
    return Error{missing.message + (missing.errnum == ENOENT ? Meant(target) : ""), missing.errnum};
  }
  if (!S_ISDIR(st.st_mode)) return fs::path(target);
  const fs::path program = ProgramOf(target);
  if (!program.empty()) return program;
  return Error{
      fmt::format("{} is a directory without a program: its package.json has no \"main\" and no "
                  "single \"bin\", and there is no index.js; name a file of it",
                  target)};
}

// The user's mount that shows `place` where it is, the innermost; null for none.
const policy::MountSetting* MountOf(const fs::path& place,
                                    const std::vector<policy::MountSetting>& mounts) {
  const policy::MountSetting* found = nullptr;
  for (const policy::MountSetting& m : mounts) {
    const fs::path beneath = place.lexically_relative(m.guest.empty() ? "/" : m.guest);
    if (beneath.empty() || *beneath.begin() == "..") continue;
    std::error_code error;
    if (!fs::equivalent(fs::path(m.host) / beneath, place, error)) continue;
    if (found == nullptr || m.guest.size() > found->guest.size()) found = &m;
  }
  return found;
}

// A mount of its own, so that it stays where it is; to be written where the user's own says so.
Status Show(const fs::path& directory, const std::vector<policy::MountSetting>& mounts,
            ProgramSource& source) {
  const policy::MountSetting* shown = MountOf(directory, mounts);
  const std::string guest = directory == "/" ? "" : directory.string();
  if (shown != nullptr && shown->guest == guest) return Ok{};
  auto mount = OpenDirectory(directory, guest, shown != nullptr && shown->writable);
  if (!mount) return mount.error();
  source.mounts.push_back(*std::move(mount));
  return Ok{};
}

// A program's directory, and what of those above it finds its modules by.
Status ShowProgram(const fs::path& directory, const std::vector<policy::MountSetting>& mounts,
                   ProgramSource& source) {
  if (Status shown = Show(directory, mounts, source); !shown) return shown;
  PackageFiles package = FindPackageFiles(directory);
  for (auto& [path, bytes] : package.manifests) {
    if (MountOf(fs::path(path).parent_path(), mounts) == nullptr)
      source.order.files[path] = std::move(bytes);
  }
  for (const std::string& modules : package.modules) {
    if (Status shown = Show(modules, mounts, source); !shown) return shown;
  }
  for (const auto& [link, target] : package.leads_out) {
    if (MountOf(fs::path(link).parent_path(), mounts) != nullptr || IsMounted(link, mounts))
      continue;
    source.notes.push_back(fmt::format("{} is a link to {}, which is not shown to the program{}",
                                       link, target,
                                       fs::path(target).filename() == "node_modules"
                                           ? fmt::format("; --mount={}:{} shows it", target, link)
                                           : ""));
  }
  return Ok{};
}

}  // namespace

bool IsMounted(const std::string& guest, const std::vector<policy::MountSetting>& mounts) {
  return std::any_of(mounts.begin(), mounts.end(),
                     [&](const policy::MountSetting& m) { return m.guest == guest; });
}

Result<std::string> ReadFile(const std::string& path, int64_t max_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return SystemError(fmt::format("cannot read {}", path));
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return SystemError(fmt::format("cannot read {}", path));
  if (S_ISFIFO(st.st_mode))
    return Error{fmt::format(
        "{} is a pipe, not a file; a program is read from one by: postern run - < {}", path, path)};
  if (!S_ISREG(st.st_mode)) return Error{fmt::format("{} is no regular file", path)};
  return ReadAll(fd.get(), path, max_bytes);
}

Result<Recording> OpenRecording(const policy::Adapter& adapter) {
  if (adapter.kind != policy::AdapterKind::kReplay) return Recording{};
  UniqueFd fd(::open(adapter.target.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  struct stat st {};
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0)
    return SystemError(fmt::format("cannot read the recording {}", adapter.target));
  if (st.st_size > static_cast<off_t>(har::kMaxHarBytes))
    return Error{fmt::format("{} is larger than the {} bytes that a recording may have",
                             adapter.target, har::kMaxHarBytes)};
  const std::string parent = fs::path(adapter.target).parent_path();
  UniqueFd directory(
      ::open(parent.empty() ? "." : parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid())
    return SystemError(fmt::format("cannot open the directory of {}", adapter.target));
  return Recording{std::move(fd), std::move(directory)};
}

Result<OpenMount> OpenDirectory(const std::string& host, const std::string& guest, bool writable) {
  UniqueFd fd(::open(host.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) {
    const Error cannot = SystemError(fmt::format("cannot mount {}", host));
    const std::string above = fs::path(host).parent_path();
    const std::string meant = host.starts_with("~")
                                  ? "; the shell leaves ~ as it is there: write $HOME"
                              : host.starts_with("type=") ? "; write --mount=HOST:GUEST"
                              : cannot.errnum == ENOTDIR && fs::is_regular_file(host)
                                  ? fmt::format("; what is mounted is a directory: --mount={}",
                                                above.empty() ? "." : above)
                                  : "";
    return Error{cannot.message + meant, cannot.errnum};
  }
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

Result<ProgramSource> ReadProgramSource(const ProgramOptions& program,
                                        const std::vector<policy::MountSetting>& mounts) {
  ProgramSource source;
  channel::GuestOrder& order = source.order;
  std::string directory = "/";
  if (program.eval) {
    order.eval = true;
    order.print = !program.keeps_output;
    order.source = program.target;
    order.url = CodeUrl(program.cwd.value_or(directory), "[eval]", program.extension);
    order.argv = {channel::kExecPath, "[eval]"};
  } else if (program.target == "-") {
    auto text = ReadAll(0, "standard input", kMaxModuleBytes);
    if (!text) return text.error();
    order.source = *std::move(text);
    order.url = CodeUrl(program.cwd.value_or(directory), "[stdin]", program.extension);
    order.argv = {channel::kExecPath, "-"};
  } else {
    const auto file = FileOf(program.target);
    if (!file) return file.error();
    auto text = ReadFile(*file, kMaxModuleBytes);
    if (!text) return text.error();
    std::error_code error;
    const fs::path path = fs::canonical(*file, error);
    if (error)
      return Error{fmt::format("cannot read the module {}: {}", program.target, error.message()),
                   error.value()};
    directory = path.parent_path();
    if (Status shown = ShowProgram(directory, mounts, source); !shown) return shown.error();
    order.source = *std::move(text);
    order.url = FileUrl(path);
    order.argv = {channel::kExecPath, path};
  }
  std::set<std::string> places;
  for (const policy::MountSetting& m : mounts) {
    if (!places.insert(m.guest).second)
      return Error{
          fmt::format("two mounts are at {}; leave out one", m.guest.empty() ? "/" : m.guest)};
    auto mount = OpenDirectory(m.host, m.guest, m.writable);
    if (!mount) return mount.error();
    source.mounts.push_back(*std::move(mount));
  }
  for (const OpenMount& m : source.mounts) order.mounts.push_back(m.guest);
  order.argv.insert(order.argv.end(), program.arguments.begin(), program.arguments.end());
  order.cwd = program.cwd.value_or(directory);
  order.colours = program.keeps_output ? 0
                                       : (ShowsColours(STDOUT_FILENO) ? 1 : 0) |
                                             (ShowsColours(STDERR_FILENO) ? 2 : 0);
  return source;
}

std::string TimeZone() {
  if (const char* tz = std::getenv("TZ"); tz != nullptr && *tz != '\0') return tz;
  std::error_code error;
  const std::string target = fs::read_symlink("/etc/localtime", error);
  const size_t at = target.find("zoneinfo/");
  return at == std::string::npos ? "UTC" : target.substr(at + 9);
}

}  // namespace postern::supervisor
