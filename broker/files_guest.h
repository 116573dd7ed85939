// FilesGuest: answers what one guest asks of mounted files on its channel, in WebDAV's words (RFC
// 4918), the path in a field:
//   HEAD      what is there: kind, size, time of the last change, inode and device,
//   whether it can be written; where
//   links lead there, postern-real is its path without them; with postern-follow 0 it may be a
//   link itself, and postern-target is where that leads, from its directory
//   GET       its bytes, from postern-offset on, postern-length of them; EFBIG for more than
//   postern-most; postern-real as above
//   PROPFIND  the names in a directory: a JSON array of [name, kind]; EFBIG for more than
//   postern-most
//   PUT       bytes of the body go there (postern-how: write, new, append, update at
//   postern-offset, or whole: all or nothing) MKCOL, DELETE, MOVE to postern-to; postern-all: with
//   what is missing above, or with all beneath
//
// Paths are opened beneath their mount by the kernel (openat2, RESOLVE_BENEATH), so neither "..",
// nor a symlink, nor a race between the two can leave it. Only regular files and directories are
// there. What may be written has a limit of bytes and of files that are made, for one guest.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "channel/guest_channel.h"

namespace postern::broker {

struct Mount {
  std::string guest;  // absolute, without a trailing slash; "" for the root
  UniqueFd directory;
  bool writable = false;
};

inline constexpr int64_t kMaxFileBytes = 64LL << 20;
inline constexpr int64_t kMaxWrittenBytes = 1LL << 30;  // by one guest
inline constexpr int64_t kMaxFilesMade = 10'000;        // by one guest, directories too

class FilesGuest : public channel::Http2Session::Handler {
 public:
  FilesGuest(boost::asio::io_context& io, const std::vector<Mount>& mounts, UniqueFd in,
             UniqueFd out, std::function<void()> ended);

  void OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) override;
  void OnData(int32_t stream, std::span<const uint8_t> data) override;
  void OnEndOfBody(int32_t stream) override;
  void OnClosed(int32_t stream, uint32_t error) override;
  size_t ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                  channel::Fields* trailers) override;

 private:
  // Where a path leads: its mount, and what of it is beneath that; "." for the mount itself.
  struct Place {
    const Mount* mount;
    std::string relative;
  };
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

  Result<Place> Find(const std::string& path) const;
  Result<Place> FindToWrite(const std::string& path) const;
  static Result<UniqueFd> OpenBeneath(const Place& place, int flags, const std::string& path,
                                      uint64_t mode = 0, uint64_t resolve = 0);
  // Opens what a path leads to; where links lead there, says in `fields` what its path is without.
  static Result<UniqueFd> Follow(const Place& place, int flags, const std::string& path,
                                 channel::Fields& fields);
  static Result<std::string> WithoutLinks(const Place& place, const std::string& path);
  // The directory that a name stands in, and the name; EACCES for the mount itself.
  static Result<std::pair<UniqueFd, std::string>> OpenParent(const Place& place,
                                                             const std::string& path);
  Result<channel::Fields> Head(const std::string& path, bool follow) const;
  Status Get(int32_t stream, const std::string& path, const channel::Fields& fields);
  Status List(int32_t stream, const std::string& path, const channel::Fields& fields);
  Status BeginPut(int32_t stream, const std::string& path, const channel::Fields& fields);
  Status FinishPut(Writing& writing);
  Status MakeDirectory(const std::string& path, bool all);
  Status Remove(const std::string& path, const std::string& kind, bool all);
  Status Move(const std::string& from, const std::string& to);
  // In nanoseconds since 1970.
  Status SetTimes(const std::string& path, int64_t accessed, int64_t modified);
  Status CountMade(const std::string& path);
  void Answer(int32_t stream, const Status& status);
  void Fail(int32_t stream, const Error& error);

  const std::vector<Mount>& mounts_;
  std::map<int32_t, Open> open_;
  int64_t written_ = 0, made_ = 0;
  channel::GuestChannel channel_;
};

}  // namespace postern::broker
