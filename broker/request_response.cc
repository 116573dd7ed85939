// Request's side towards libcurl: where it connects, what it sends, and the response as it comes
// in.
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

#include "broker/http_fields.h"
#include "broker/net_guest.h"
#include "broker/request.h"

namespace postern::broker {
namespace {

using channel::Failure;
using channel::Fields;

constexpr size_t kBufferedBody = 256 * 1024;  // bytes of a response held here before libcurl pauses

Failure TooLarge(const char* error, const std::string& what, int64_t limit, const char* key) {
  return {error, "ERR_LIMIT",
          what + " is larger than the limit of " + std::to_string(limit) + " (" + key + ")"};
}

}  // namespace

curl_socket_t Request::OnOpenSocket(void* arg, curlsocktype /*purpose*/, curl_sockaddr* address) {
  auto* self = static_cast<Request*>(arg);
  const auto ip = policy::IpAddress::From(&address->addr);
  const bool checked = ip && std::find(self->addresses_.begin(), self->addresses_.end(), *ip) !=
                                 self->addresses_.end();
  if (!checked || self->Blocked(*ip)) {
    self->failure_ = Failure{"destination_ip_prohibited", "ERR_ADDRESS_BLOCKED",
                             "an address of " + self->url_.HostPort() + " is blocked"};
    return CURL_SOCKET_BAD;
  }
  const int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) {
    self->failure_ =
        Failure{"connection_limit_reached", "ERR_BROKER_RESOURCES",
                std::string("the broker cannot open another connection: ") + std::strerror(errno)};
    return CURL_SOCKET_BAD;
  }
  return fd;
}

CURLcode Request::OnTlsStart(CURL* /*easy*/, void* ssl_context, void* arg) {
  auto* self = static_cast<Request*>(arg);
  self->Enter(Phase::kTls);
  return self->guest_.shared().tls.ApplyTo(static_cast<SSL_CTX*>(ssl_context))
             ? CURLE_OK
             : CURLE_OUT_OF_MEMORY;
}

int Request::OnConnected(void* arg, char* /*remote*/, char* /*local*/, int /*remote_port*/,
                         int /*local_port*/) {
  auto* self = static_cast<Request*>(arg);
  self->failure_.reset();  // another address of the host answered
  self->Enter(self->has_upload_ && !self->upload_ended_ ? Phase::kSend : Phase::kHeaders);
  return CURL_PREREQFUNC_OK;
}

size_t Request::OnSend(char* buffer, size_t size, size_t count, void* arg) {
  auto* self = static_cast<Request*>(arg);
  const size_t n = std::min(size * count, self->upload_.size() - self->upload_at_);
  if (n == 0) {
    if (self->upload_ended_) {
      if (self->phase_ == Phase::kSend) self->Enter(Phase::kHeaders);
      return 0;
    }
    self->upload_paused_ = true;
    return CURL_READFUNC_PAUSE;
  }
  std::memcpy(buffer, self->upload_.data() + self->upload_at_,
              n);  // NOLINT(bugprone-not-null-terminated-result): bytes, no string
  self->upload_at_ += n;
  if (self->upload_at_ == self->upload_.size()) self->upload_.clear(), self->upload_at_ = 0;
  self->guest_.usage().bytes_out += n;
  self->guest_.channel().session().Consume(self->stream_, n);
  self->guest_.channel().FlushSoon();
  if (self->phase_ == Phase::kSend) self->Enter(Phase::kSend);  // progress
  return n;
}

size_t Request::OnHeader(char* data, size_t size, size_t count, void* arg) {
  auto* self = static_cast<Request*>(arg);
  return self->TakeHeaderLine({data, size * count}) ? size * count : 0;
}

bool Request::TakeHeaderLine(std::string_view line) {
  const policy::Limits& limits = guest_.policy().limits;
  header_bytes_ += line.size();
  if (header_bytes_ > static_cast<size_t>(limits.header_bytes)) {
    failure_ =
        TooLarge("http_response_header_section_size", "the header section of " + url_.HostPort(),
                 limits.header_bytes, "header_bytes");
    return false;
  }
  if (responded_) return true;  // trailers
  if (line.starts_with("HTTP/")) {
    response_fields_.clear();
    content_length_.reset();
    header_count_ = 0;
    const size_t space = line.find(' ');
    const std::string rest = space == std::string_view::npos ? "" : Trim(line.substr(space + 1));
    status_ = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), status_);
    reason_ = Trim(std::string_view(rest).substr(static_cast<size_t>(end - rest.data())));
    if (error == std::errc() && status_ >= 100 && status_ <= 599) return true;
    failure_ = Failure{"http_protocol_error", "ERR_HTTP_PROTOCOL",
                       url_.HostPort() + " answered with a malformed status line"};
    return false;
  }
  if (line == "\r\n" || line == "\n") return EndOfHeaders();
  const size_t colon = line.find(':');
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  const std::string value = colon == std::string_view::npos ? "" : Trim(line.substr(colon + 1));
  const bool valid =
      colon != std::string_view::npos &&
      nghttp2_check_header_name(reinterpret_cast<const uint8_t*>(name.data()), name.size()) != 0 &&
      nghttp2_check_header_value(reinterpret_cast<const uint8_t*>(value.data()), value.size()) != 0;
  if (!valid) {
    failure_ = Failure{"http_protocol_error", "ERR_HTTP_PROTOCOL",
                       url_.HostPort() + " answered with a malformed header field"};
    return false;
  }
  if (++header_count_ > static_cast<size_t>(limits.header_count)) {
    failure_ = TooLarge("http_response_header_section_size",
                        "the number of header fields of " + url_.HostPort(), limits.header_count,
                        "header_count");
    return false;
  }
  if (name == "content-length") {
    if (content_length_ && *content_length_ != value) {
      failure_ = Failure{"http_protocol_error", "ERR_HTTP_PROTOCOL",
                         url_.HostPort() + " gave two different Content-Lengths"};
      return false;
    }
    // Under another name on the channel: a body cut short must end in a failure, not in a stream
    // error.
    if (!content_length_) response_fields_.push_back({"postern-content-length", value});
    content_length_ = value;
  } else if (Forwarded(name)) {
    response_fields_.push_back({std::move(name), value});
  }
  return true;
}

bool Request::EndOfHeaders() {
  if (status_ < 200) return true;  // informational: the deadline runs on
  Fields fields = {{":status", std::to_string(status_)},
                   {"postern-status-text", channel::EscapeText(reason_)}};
  fields.insert(fields.end(), std::make_move_iterator(response_fields_.begin()),
                std::make_move_iterator(response_fields_.end()));
  responded_ = true;
  Enter(Phase::kBody);
  if (!guest_.channel().session().Respond(stream_, fields, true)) return false;
  guest_.channel().FlushSoon();
  return true;
}

size_t Request::OnBody(char* data, size_t size, size_t count, void* arg) {
  auto* self = static_cast<Request*>(arg);
  const size_t n = size * count;
  if (self->body_.size() - self->body_at_ >= kBufferedBody) {
    self->body_paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  self->body_total_ += static_cast<int64_t>(n);
  self->CountProgress(n);
  self->guest_.usage().bytes_in += n;
  const int64_t limit = self->guest_.policy().limits.response_bytes;
  if (self->body_total_ > limit) {
    self->failure_ = TooLarge("http_response_body_size", "the response of " + self->url_.HostPort(),
                              limit, "response_bytes");
    return 0;
  }
  if (self->body_at_ > kBufferedBody) self->body_.erase(0, std::exchange(self->body_at_, 0));
  self->body_.append(data, n);
  if (!self->blocked_) self->WaitForGuest();
  self->guest_.channel().session().ResumeBody(self->stream_);
  self->guest_.channel().FlushSoon();
  return n;
}

}  // namespace postern::broker
