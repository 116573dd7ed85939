#include "worker/file_client.h"

#include <poll.h>

#include "worker/spare_fds.h"

namespace postern::worker {
namespace {

constexpr int kBrokerSilenceMs = 10'000;  // disks may be slow; a broker is not

}  // namespace

void FileClient::Lost(const std::string& why) {
  answer_ = {.code = "ERR_BROKER_LOST", .message = "the files broker was lost: " + why};
  done_ = true;
  endpoint_.reset();
}

FileClient::Answer FileClient::Read(const std::string& path) {
  if (const auto own = files_.find(path); own != files_.end())
    return {.ok = true, .bytes = own->second};
  if (!mounted_) return {.code = "ENOENT", .message = "there is no file " + path};
  return Ask("GET", path);
}

FileTree::Kind FileClient::Stat(const std::string& path) {
  if (files_.contains(path)) return Kind::kFile;
  const auto below = files_.lower_bound(path + "/");
  if (below != files_.end() && below->first.starts_with(path + "/")) return Kind::kDirectory;
  if (!mounted_) return Kind::kNone;
  const Answer answer = Ask("HEAD", path);
  if (answer.ok) return answer.directory ? Kind::kDirectory : Kind::kFile;
  return answer.code == "EACCES" ? Kind::kDenied : Kind::kNone;
}

std::optional<std::string> FileClient::ReadFile(const std::string& path) {
  Answer answer = Read(path);
  if (!answer.ok) return std::nullopt;
  return std::move(answer.bytes);
}

FileClient::Answer FileClient::Ask(const char* method, const std::string& path) {
  answer_ = {};
  done_ = false;
  if (!std::exchange(opened_, true)) {
    endpoint_ = std::make_unique<channel::Endpoint>(channel::Http2Session::Role::kClient, 1, *this,
                                                    UniqueFd(kFilesIn), UniqueFd(kFilesOut));
  }
  if (!endpoint_) {
    Lost("it ended");
    return answer_;
  }
  const channel::Fields fields = {{":method", method},
                                  {":scheme", "file"},
                                  {":authority", "files"},
                                  {":path", "/"},
                                  {"postern-path", channel::EscapeText(path)}};
  if (const auto stream = endpoint_->session().Request(fields, false); !stream)
    Lost(stream.error().message);
  while (!done_) {
    const auto flushed = endpoint_->Flush();
    if (!flushed) {
      Lost(flushed.error().message);
      break;
    }
    pollfd fds[2] = {{endpoint_->in(), POLLIN, 0}, {endpoint_->out(), POLLOUT, 0}};
    const int n = ::poll(fds, *flushed ? 1 : 2, kBrokerSilenceMs);
    if (n == 0) {
      Lost("it stopped answering");
    } else if (fds[0].revents != 0) {
      const auto outcome = endpoint_->Read();
      if (!outcome)
        Lost(outcome.error().message);
      else if (*outcome == channel::Endpoint::ReadOutcome::kClosed && !done_)
        Lost("it ended");
    }
  }
  return std::move(answer_);
}

void FileClient::OnHeaders(int32_t /*stream*/, channel::Fields fields, bool /*end_stream*/) {
  if (const std::string* status = FindField(fields, "proxy-status")) {
    const auto failure = channel::ParseProxyStatus(*status);
    answer_ = {.code = failure ? failure->code : "EIO",
               .message = failure ? failure->details : "malformed answer"};
  } else if (answer_.code.empty()) {
    answer_.ok = true;
    const std::string* kind = FindField(fields, "postern-kind");
    answer_.directory = kind != nullptr && *kind == "directory";
  }
}

void FileClient::OnData(int32_t stream, std::span<const uint8_t> data) {
  answer_.bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
  endpoint_->session().Consume(stream, data.size());
}

void FileClient::OnEndOfBody(int32_t /*stream*/) { done_ = true; }

void FileClient::OnClosed(int32_t /*stream*/, uint32_t error) {
  if (!done_)
    answer_ = {.code = "EIO",
               .message = std::string("the files broker reset the request: ") +
                          nghttp2_http2_strerror(error)};
  done_ = true;
}

}  // namespace postern::worker
