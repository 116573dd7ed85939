// FilesBinding: answers what one guest asks of mounted files on its channel, in WebDAV's words (RFC
// 4918), the path in a field:
//   HEAD      what is there: kind, size, mode, times, inode and device, whether it can be written;
//   where links lead there, postern-real is its path without them; with postern-follow 0 it may be
//   a link itself, and postern-target is where that leads, from its directory GET       its bytes,
//   from postern-offset on, postern-length of them; EFBIG for more than postern-most; postern-real
//   as above PROPFIND  the names in a directory: a JSON array of [name, kind]; EFBIG for more than
//   postern-most
//   PUT       bytes of the body go there (postern-how: write, new, append, update at
//   postern-offset, or whole: all or nothing) MKCOL, DELETE, MOVE to postern-to; postern-all: with
//   what is missing above, or with all beneath
//
// Paths are opened beneath their mount by the kernel (openat2, RESOLVE_BENEATH), so neither "..",
// nor a symlink, nor a race between the two can leave it; where one mount lies in another,
// files_mounts.h says which it is. Only regular files and directories are there. What may be
// written has a limit of bytes and of files that are made, for one guest. Inodes and devices are
// numbers of the guest's own: they tell files apart, and nothing of the host.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/files/files_mounts.h"
#include "loop/guest_channel.h"

namespace postern::broker {

inline constexpr int64_t kMaxFileBytes = 64LL << 20;
inline constexpr int64_t kMaxWrittenBytes = 1LL << 30;  // by one guest
inline constexpr int64_t kMaxFilesMade = 10'000;        // by one guest, directories too

class FilesBinding : public channel::Http2Session::Observer {
 public:
  FilesBinding(boost::asio::io_context& io, const MountTable& mounts, UniqueFd in, UniqueFd out,
               std::function<void()> ended);

  void OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) override;
  void OnData(int32_t stream, std::span<const uint8_t> data) override;
  void OnEndOfBody(int32_t stream) override;
  void OnClosed(int32_t stream, uint32_t error) override;
  size_t ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                  channel::Fields* trailers) override;

 private:
  // A file that is being written. Removes what is not whole when it goes.
  struct Writing;
  struct Open {
    UniqueFd file;
    std::string text;  // instead of a file
    int64_t left = 0;  // bytes still to be given
    std::unique_ptr<Writing> writing;
    Open();
    Open(Open&&) noexcept;
    ~Open();
  };

  using Last = MountTable::Last;

  Result<MountedPath> FindToWrite(const std::string& path, Last last) const;
  // Opens what a path leads to; where links lead there, says in `fields` what its path is without.
  Result<UniqueFd> Follow(const MountedPath& place, int flags, const std::string& path,
                          channel::Fields& fields) const;
  // The directory that a name stands in, and the name; EACCES for the mount itself.
  static Result<std::pair<UniqueFd, std::string>> OpenParent(const MountedPath& place,
                                                             const std::string& path);
  Result<channel::Fields> Head(const std::string& path, bool follow);
  Status Get(int32_t stream, const std::string& path, const channel::Fields& fields);
  Status List(int32_t stream, const std::string& path, const channel::Fields& fields);
  Status BeginPut(int32_t stream, const std::string& path, const channel::Fields& fields);
  Status FinishPut(Writing& writing);
  Status MakeDirectory(const std::string& path, bool all, mode_t mode);
  // The mode of a file that takes the place of another: no wider than that of what is there.
  static mode_t ModeInPlaceOf(int parent, const std::string& name, mode_t mode);
  Status Remove(const std::string& path, const std::string& kind, bool all);
  Status Move(const std::string& from, const std::string& to);
  // In nanoseconds since 1970, or before.
  Status SetTimes(const std::string& path, int64_t accessed, int64_t modified);
  // Whether one more file may be made: it counts once it is there.
  Status MayMake(const std::string& path) const;
  // EBUSY where that name is a directory that must stay; Ok where there is none.
  Status MayChange(int parent, const std::string& name, const std::string& path) const;
  Status RemoveAll(int parent, const std::string& name, const std::string& path, int depth) const;
  // What the guest is told instead of the host's numbers.
  std::pair<uint64_t, uint64_t> InodeAndDevice(const struct stat& st);
  void Respond(int32_t stream, const Status& status);
  void RespondError(int32_t stream, const Error& error);

  const MountTable& mounts_;
  std::map<std::pair<dev_t, ino_t>, uint64_t> inodes_;
  std::map<dev_t, uint64_t> devices_;
  std::array<uint64_t, 4> secret_{};
  std::map<int32_t, Open> open_;
  int64_t written_ = 0, made_ = 0;
  loop::GuestChannel channel_;
};

}  // namespace postern::broker
