// FilesGuest: answers what one guest asks about mounted files: GET (its bytes) and HEAD (what it
// is) of file:///GUEST/PATH on its channel.
//
// Paths are opened beneath their mount by the kernel (openat2, RESOLVE_BENEATH), so neither "..",
// nor a symlink, nor a race between the two can leave it. Only regular files are read.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "channel/guest_channel.h"

namespace postern::broker {

struct Mount {
  std::string guest;  // absolute, without a trailing slash; "" for the root
  UniqueFd directory;
};

inline constexpr int64_t kMaxFileBytes = 64LL << 20;

class FilesGuest : public channel::Http2Session::Handler {
 public:
  FilesGuest(boost::asio::io_context& io, const std::vector<Mount>& mounts, UniqueFd in,
             UniqueFd out, std::function<void()> ended);

  void OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) override;
  void OnData(int32_t stream, std::span<const uint8_t> data) override;
  void OnEndOfBody(int32_t) override {}
  void OnClosed(int32_t stream, uint32_t error) override;
  size_t ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                  channel::Fields* trailers) override;

 private:
  // What a guest path leads to, or an Error whose errnum tells ENOENT, EACCES, EISDIR, EFBIG, …
  Result<UniqueFd> Open(const std::string& path) const;
  Result<UniqueFd> OpenToRead(const std::string& path) const;

  const std::vector<Mount>& mounts_;
  std::map<int32_t, UniqueFd> open_;
  channel::GuestChannel channel_;
};

}  // namespace postern::broker
