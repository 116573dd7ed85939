// FilesBinding: answers what one guest asks of mounted files on its channel (the words are
// channel/files_protocol.h's, what they do is mounted_files.h's).
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "broker/files/mounted_files.h"
#include "loop/guest_channel.h"

namespace postern::broker {

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
  // A stream whose body is on its way, to the guest or from it.
  struct OpenBody {
    UniqueFd file;
    std::string text;  // instead of a file
    int64_t left = 0;  // bytes still to be given
    std::optional<FileWriter> writer;
  };

  void Stat(int32_t stream, const std::string& path, const channel::StatFile& how);
  void Read(int32_t stream, const std::string& path, const channel::ReadFile& how);
  void List(int32_t stream, const std::string& path, const channel::ListDirectory& how);
  void Write(int32_t stream, const std::string& path, const channel::WriteFile& how);
  void Respond(int32_t stream, const channel::Fields& fields, bool has_body);
  void RespondStatus(int32_t stream, const Status& status);
  void RespondError(int32_t stream, const Error& error);

  MountedFiles files_;
  std::map<int32_t, OpenBody> bodies_;
  loop::GuestChannel channel_;
};

}  // namespace postern::broker
