#include "broker/files/files_binding.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <variant>

#include "base/by_type.h"
#include "base/eintr.h"
#include "channel/failure.h"

namespace postern::broker {
namespace {

constexpr uint32_t kMaxRequests = 16;  // at once, a guest

std::string ErrorName(int errnum) {
  switch (errnum) {
    case EXDEV:
    case EPERM:
    case EROFS:
    case EACCES:
      return "EACCES";
    case ENFILE:
      return "EMFILE";
    case EDQUOT:
      return "ENOSPC";
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ENOTEMPTY:
    case EFBIG:
    case ENOSPC:
    case ENAMETOOLONG:
    case ELOOP:
    case EMFILE:
    case EINVAL:
    case EBUSY:
      return strerrorname_np(errnum);
    default:
      return "EIO";
  }
}

}  // namespace

FilesBinding::FilesBinding(boost::asio::io_context& io, const MountTable& mounts, UniqueFd in,
                           UniqueFd out, std::function<void()> ended)
    : files_(mounts),
      channel_(io, channel::Http2Session::Role::kBrokerServer, kMaxRequests, *this, std::move(in),
               std::move(out), std::move(ended)) {}

// ---- requests

void FilesBinding::OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) {
  const auto request = channel::DecodeFilesRequest(fields);
  if (!request) return RespondError(stream, request.error());
  const std::string& path = request->path;
  std::visit(
      ByType{
          [&](const channel::StatFile& how) { Stat(stream, path, how); },
          [&](const channel::ReadFile& how) { Read(stream, path, how); },
          [&](const channel::ListDirectory& how) { List(stream, path, how); },
          [&](const channel::WriteFile& how) {
            Write(stream, path, how);
            if (end_stream) OnEndOfBody(stream);
          },
          [&](const channel::MakeDirectory& how) { RespondStatus(stream, files_.Make(path, how)); },
          [&](const channel::RemoveFile& how) { RespondStatus(stream, files_.Remove(path, how)); },
          [&](const channel::MoveFile& how) { RespondStatus(stream, files_.Move(path, how)); },
          [&](const channel::SetFileTimes& times) {
            RespondStatus(stream, files_.SetTimes(path, times));
          },
      },
      request->operation);
}

void FilesBinding::Stat(int32_t stream, const std::string& path, const channel::StatFile& how) {
  const auto found = files_.Stat(path, how);
  if (!found) return RespondError(stream, found.error());
  Respond(stream, channel::EncodeFilesResponse(*found), false);
}

void FilesBinding::Read(int32_t stream, const std::string& path, const channel::ReadFile& how) {
  auto opened = files_.Open(path, how);
  if (!opened) return RespondError(stream, opened.error());
  OpenBody& body = bodies_[stream];
  body.file = std::move(opened->file);
  body.left = opened->left;
  Respond(stream, channel::EncodeFilesResponse(opened->response), true);
}

void FilesBinding::List(int32_t stream, const std::string& path,
                        const channel::ListDirectory& how) {
  const auto entries = files_.List(path, how);
  if (!entries) return RespondError(stream, entries.error());
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [name, kind] : *entries) list.push_back({name, channel::NameOf(kind)});
  OpenBody& body = bodies_[stream];
  body.text = list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  body.left = static_cast<int64_t>(body.text.size());
  Respond(stream, channel::EncodeFilesResponse({}), true);
}

void FilesBinding::Write(int32_t stream, const std::string& path, const channel::WriteFile& how) {
  auto writer = files_.OpenToWrite(path, how);
  if (!writer) return RespondError(stream, writer.error());
  bodies_[stream].writer.emplace(*std::move(writer));
}

// ---- responses

void FilesBinding::Respond(int32_t stream, const channel::Fields& fields, bool has_body) {
  if (!channel_.session().Respond(stream, fields, has_body))
    channel_.session().Reset(stream, NGHTTP2_INTERNAL_ERROR);
}

void FilesBinding::RespondError(int32_t stream, const Error& error) {
  const channel::Failure failure{"http_request_error", ErrorName(error.errnum), error.message};
  Respond(stream, channel::FailureResponse(failure), false);
}

void FilesBinding::RespondStatus(int32_t stream, const Status& status) {
  if (!status) return RespondError(stream, status.error());
  Respond(stream, {{":status", "204"}}, false);
}

// ---- bodies

void FilesBinding::OnData(int32_t stream, std::span<const uint8_t> data) {
  const auto body = bodies_.find(stream);
  channel_.session().Consume(stream, data.size());
  if (body != bodies_.end() && body->second.writer) files_.Write(*body->second.writer, data);
}

void FilesBinding::OnEndOfBody(int32_t stream) {
  const auto body = bodies_.find(stream);
  if (body == bodies_.end() || !body->second.writer) return;
  const Status finished = body->second.writer->Finish();
  bodies_.erase(body);
  RespondStatus(stream, finished);
}

void FilesBinding::OnClosed(int32_t stream, uint32_t /*error*/) { bodies_.erase(stream); }

size_t FilesBinding::ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                              channel::Fields* trailers) {
  const auto found = bodies_.find(stream);
  if (found == bodies_.end()) {
    *end = true;
    return 0;
  }
  OpenBody& body = found->second;
  const auto most =
      static_cast<size_t>(std::min<int64_t>(body.left, static_cast<int64_t>(out.size())));
  if (!body.file.valid()) {
    body.text.copy(reinterpret_cast<char*>(out.data()), most,
                   body.text.size() - static_cast<size_t>(body.left));
    body.left -= static_cast<int64_t>(most);
    *end = body.left == 0;
    return most;
  }
  const ssize_t n =
      most == 0 ? 0 : Uninterrupted([&] { return ::read(body.file.get(), out.data(), most); });
  if (n > 0) {
    body.left -= n;
    return static_cast<size_t>(n);
  }
  *end = true;
  if (n < 0)
    trailers->push_back(
        {"proxy-status", channel::FormatProxyStatus(
                             {"http_request_error", "EIO", "cannot read the file to its end"})});
  return 0;
}

}  // namespace postern::broker
