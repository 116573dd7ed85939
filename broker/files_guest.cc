#include "broker/files_guest.h"

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/eintr.h"
#include "channel/failure.h"

namespace postern::broker {
namespace {

constexpr uint32_t kMaxReads = 16;  // files open at once, a guest

std::string ErrorName(int errnum) {
  switch (errnum) {
    case ENOENT:
    case ENOTDIR:
      return "ENOENT";
    case EISDIR:
      return "EISDIR";
    case EFBIG:
      return "EFBIG";
    case ENAMETOOLONG:
      return "ENAMETOOLONG";
    case EMFILE:
    case ENFILE:
      return "EMFILE";
    case EXDEV:
    case EACCES:
    case EPERM:
    case ELOOP:
      return "EACCES";
    default:
      return "EIO";
  }
}

}  // namespace

FilesGuest::FilesGuest(boost::asio::io_context& io, const std::vector<Mount>& mounts, UniqueFd in,
                       UniqueFd out, std::function<void()> ended)
    : mounts_(mounts),
      channel_(io, channel::Http2Session::Role::kServer, kMaxReads, *this, std::move(in),
               std::move(out), std::move(ended)) {}

Result<UniqueFd> FilesGuest::Open(const std::string& path) const {
  if (path.find('\0') != std::string::npos)
    return Error{"a path cannot contain a zero byte", ENOENT};
  const Mount* best = nullptr;
  for (const Mount& m : mounts_) {
    const bool beneath = path.starts_with(m.guest + "/");
    if (beneath && (best == nullptr || m.guest.size() > best->guest.size())) best = &m;
  }
  if (best == nullptr) {
    return Error{path + " is outside what is mounted; add --mount=HOST:GUEST for its directory",
                 EACCES};
  }
  const std::string relative = path.substr(best->guest.size() + 1);
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  UniqueFd fd(
      static_cast<int>(::syscall(SYS_openat2, best->directory.get(),
                                 relative.empty() ? "." : relative.c_str(), &how, sizeof how)));
  if (!fd.valid()) {
    if (errno == EXDEV || errno == ELOOP) return Error{path + " leads out of its mount", errno};
    return SystemError("cannot read " + path);
  }
  return fd;
}

Result<UniqueFd> FilesGuest::OpenToRead(const std::string& path) const {
  auto fd = Open(path);
  if (!fd) return fd;
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return SystemError("cannot read " + path);
  if (S_ISDIR(st.st_mode)) return Error{path + " is a directory", EISDIR};
  if (!S_ISREG(st.st_mode)) return Error{path + " is no regular file", EACCES};
  if (st.st_size > kMaxFileBytes) {
    return Error{path + " has " + std::to_string(st.st_size) + " bytes, more than the limit of " +
                     std::to_string(kMaxFileBytes),
                 EFBIG};
  }
  return fd;
}

void FilesGuest::OnHeaders(int32_t stream, channel::Fields fields, bool /*end_stream*/) {
  const std::string* method = FindField(fields, ":method");
  const std::string* path = FindField(fields, "postern-path");
  auto& session = channel_.session();
  Result<UniqueFd> fd = Error{"only GET and HEAD are answered here", EACCES};
  if (method != nullptr && *method == "HEAD" && path != nullptr) {
    fd = Open(channel::UnescapeText(*path));
    struct stat st {};
    if (fd && ::fstat(fd->get(), &st) == 0) {
      if (!session.Respond(
              stream,
              {{":status", "200"}, {"postern-kind", S_ISDIR(st.st_mode) ? "directory" : "file"}},
              false))
        session.Reset(stream, NGHTTP2_INTERNAL_ERROR);
      return;
    }
  } else if (method != nullptr && *method == "GET" && path != nullptr) {
    fd = OpenToRead(channel::UnescapeText(*path));
  }
  if (!fd) {
    const channel::Failure failure{"http_request_error", ErrorName(fd.error().errnum),
                                   fd.error().message};
    if (!session.Respond(stream, channel::FailureResponse(failure), false))
      session.Reset(stream, NGHTTP2_INTERNAL_ERROR);
    return;
  }
  open_[stream] = *std::move(fd);
  if (!session.Respond(stream, {{":status", "200"}}, true))
    session.Reset(stream, NGHTTP2_INTERNAL_ERROR);
}

void FilesGuest::OnData(int32_t stream, std::span<const uint8_t> data) {
  channel_.session().Consume(stream, data.size());
}

void FilesGuest::OnClosed(int32_t stream, uint32_t /*error*/) { open_.erase(stream); }

size_t FilesGuest::ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                            channel::Fields* trailers) {
  const auto file = open_.find(stream);
  const ssize_t n = file == open_.end() ? 0 : Uninterrupted([&] {
    return ::read(file->second.get(), out.data(), out.size());
  });
  if (n > 0) return static_cast<size_t>(n);
  *end = true;
  if (n < 0)
    trailers->push_back(
        {"proxy-status", channel::FormatProxyStatus(
                             {"http_request_error", "EIO", "cannot read the file to its end"})});
  return 0;
}

}  // namespace postern::broker
