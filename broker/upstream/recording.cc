#include "broker/upstream/recording.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <memory>

#include "base/eintr.h"
#include "base/format.h"
#include "base/unique_fd.h"

namespace postern::broker {
namespace {

constexpr size_t kMaxFilesBytes = 256 << 20;  // of all files beside a recording

// "da39a3ee5e6b4b0d3255bfef95601890afd80709.html"
bool IsBodyName(std::string_view name) {
  constexpr size_t kDigits = 40;
  return name.size() > kDigits + 1 && name[kDigits] == '.' &&
         name.substr(0, kDigits).find_first_not_of("0123456789abcdef") == std::string_view::npos &&
         std::all_of(name.begin() + kDigits + 1, name.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0; });
}

// The value of the member "_file" whose name ends at `at`.
std::string_view FileName(std::string_view har, size_t at) {
  const size_t quote = har.find_first_not_of(" \t\r\n:", at);
  if (quote == std::string_view::npos || har[quote] != '"') return {};
  const std::string_view name = har.substr(quote + 1, 64);
  return name.substr(0, name.find('"'));
}

}  // namespace

Result<std::string> ReadToEnd(int fd, const std::string& what, size_t max_bytes) {
  std::string bytes;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t n = Uninterrupted([&] { return ::read(fd, buffer, sizeof buffer); });
    if (n < 0) return SystemError(fmt::format("cannot read {}", what));
    if (n == 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(n));
    if (bytes.size() > max_bytes) {
      return Error{fmt::format("{} has more than {} bytes", what, max_bytes)};
    }
  }
}

Result<har::Files> ReadFilesBeside(int har, int directory) {
  constexpr std::string_view kMember = "\"_file\"";
  har::Files files;
  struct stat about {};
  if (::lseek(har, 0, SEEK_SET) != 0 || ::fstat(har, &about) != 0 || about.st_size == 0) {
    return files;
  }
  const auto size = static_cast<size_t>(about.st_size);
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, har, 0);
  if (mapped == MAP_FAILED) return files;  // a directory: whoever reads it is told
  const std::unique_ptr<void, std::function<void(void*)>> unmap(
      mapped, [size](void* at) { ::munmap(at, size); });
  const std::string_view text(static_cast<const char*>(mapped), size);
  size_t left = kMaxFilesBytes;
  for (size_t at = text.find(kMember); at != std::string_view::npos; at = text.find(kMember, at)) {
    at += kMember.size();
    const std::string name(FileName(text, at));
    if (!IsBodyName(name) || files.contains(name)) continue;
    const UniqueFd fd(
        ::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat st {};
    if (!fd.valid() || ::fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode)) continue;
    auto bytes = ReadToEnd(fd.get(), "what lies beside the recording", left);
    if (!bytes) return bytes.error();
    left -= bytes->size();
    files[name] = *std::move(bytes);
  }
  return files;
}

}  // namespace postern::broker
