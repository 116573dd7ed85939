// Request's response: fields and body as they come in from the origin.
#include <algorithm>
#include <cctype>
#include <charconv>

#include "broker/http_fields.h"
#include "broker/net_guest.h"
#include "broker/request.h"
#include "policy/text.h"

namespace postern::broker {
namespace {

using channel::Failure;
using channel::Fields;

constexpr size_t kBufferedBody = 256 * 1024;  // bytes of a response held here before libcurl pauses
// For how long the end of what an origin sent is held back where a secret may begin in it: always
// this long, so that the pause tells nothing.
constexpr auto kHoldBack = std::chrono::milliseconds(200);

Failure TooLarge(const char* error, const std::string& what, int64_t limit, const char* key) {
  return {error, "ERR_LIMIT",
          what + " is larger than the limit of " + std::to_string(limit) + " (" + key + ")"};
}

// A field's name is lower case by now: so must be what is looked for in it.
bool HoldsSecret(const std::string& name, const policy::SpellingSet& spellings) {
  const auto& list = spellings.list();
  return std::any_of(list.begin(), list.end(), [&](const policy::Spelling& s) {
    return name.find(policy::AsciiLower(s.text)) != std::string::npos;
  });
}

}  // namespace

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
  if (line.starts_with("HTTP/")) return TakeStatusLine(line);
  if (line == "\r\n" || line == "\n") return EndOfHeaders();
  return TakeField(line);
}

bool Request::TakeStatusLine(std::string_view line) {
  response_fields_.clear();
  content_length_.reset();
  header_count_ = 0;
  const size_t space = line.find(' ');
  const std::string rest = space == std::string_view::npos ? "" : Trim(line.substr(space + 1));
  http_version_ = line.substr(0, std::min(space, line.size()));
  status_ = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), status_);
  reason_ = Trim(std::string_view(rest).substr(static_cast<size_t>(end - rest.data())));
  if (spellings_ != nullptr) reason_ = policy::ReplaceAll(reason_, *spellings_);
  if (error == std::errc() && status_ >= 100 && status_ <= 599) return true;
  failure_ = Failure{"http_protocol_error", "ERR_HTTP_PROTOCOL",
                     url_.HostPort() + " answered with a malformed status line"};
  return false;
}

bool Request::TakeField(std::string_view line) {
  const size_t colon = line.find(':');
  std::string name = policy::AsciiLower(line.substr(0, colon));
  std::string value = colon == std::string_view::npos ? "" : Trim(line.substr(colon + 1));
  const bool valid =
      colon != std::string_view::npos &&
      nghttp2_check_header_name(reinterpret_cast<const uint8_t*>(name.data()), name.size()) != 0 &&
      nghttp2_check_header_value(reinterpret_cast<const uint8_t*>(value.data()), value.size()) != 0;
  if (!valid) {
    failure_ = Failure{"http_protocol_error", "ERR_HTTP_PROTOCOL",
                       url_.HostPort() + " answered with a malformed header field"};
    return false;
  }
  const policy::Limits& limits = guest_.policy().limits;
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
    // error. A length would tell that of a secret, whose place a placeholder takes.
    if (!content_length_ && spellings_ == nullptr) {
      response_fields_.push_back({channel::kContentLength, value});
    }
    content_length_ = value;
    return true;
  }
  if (spellings_ != nullptr) {
    if (name == "content-encoding" && !policy::EqualsIgnoringCase(value, "identity")) {
      failure_ = Failure{"http_response_content_coding", "ERR_SECRET_CODING",
                         url_.HostPort() + " sent a coded body (" + value +
                             ") though none was asked for; a secret could hide in it"};
      return false;
    }
    if (HoldsSecret(name, *spellings_)) return true;
    value = policy::ReplaceAll(value, *spellings_);
  }
  if (Forwarded(name)) response_fields_.push_back({std::move(name), std::move(value)});
  return true;
}

bool Request::EndOfHeaders() {
  if (status_ < 200) return true;  // informational: the deadline runs on
  Fields fields = {{":status", std::to_string(status_)},
                   {"postern-status-text", channel::EscapeText(reason_)}};
  fields.insert(fields.end(), response_fields_.begin(), response_fields_.end());
  responded_ = true;
  if (spellings_ != nullptr) body_secrets_.emplace(spellings_);
  Enter(Phase::kBody);
  if (!guest_.channel().session().Respond(stream_, fields, true)) return false;
  guest_.channel().FlushSoon();
  return true;
}

size_t Request::OnBody(char* data, size_t size, size_t count, void* arg) {
  auto* self = static_cast<Request*>(arg);
  if (self->body_.size() - self->body_at_ >= kBufferedBody) {
    self->body_paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  return self->TakeBody({data, size * count}) ? size * count : 0;
}

bool Request::TakeBody(std::string_view data) {
  body_total_ += static_cast<int64_t>(data.size());
  CountProgress(data.size());
  guest_.usage().bytes_in += data.size();
  const int64_t limit = guest_.policy().limits.response_bytes;
  if (body_total_ > limit) {
    failure_ = TooLarge("http_response_body_size", "the response of " + url_.HostPort(), limit,
                        "response_bytes");
    return false;
  }
  if (OverTotalBytes()) {
    failure_ = TotalBytesFailure();
    return false;
  }
  if (body_at_ > kBufferedBody) body_.erase(0, std::exchange(body_at_, 0));
  const size_t before = body_.size();
  if (body_secrets_) {
    body_secrets_->Feed(data, body_);
    HoldBack();
  } else {
    body_.append(data);
  }
  KeepForRecording(before);
  if (body_.size() == before) return true;
  if (!blocked_) WaitForGuest();
  guest_.channel().session().ResumeBody(stream_);
  guest_.channel().FlushSoon();
  return true;
}

// What the guest gets from `begin` on is what a recording has.
void Request::KeepForRecording(size_t begin) {
  if (!recorded_ || recorded_->body_omitted) return;
  recorded_->response_body.append(body_, begin);
  if (recorded_->response_body.size() <= har::kMaxKeptBody) return;
  recorded_->response_body = {};
  recorded_->body_omitted = true;
}

void Request::HoldBack() {
  if (!hold_timer_) {
    hold_timer_ = std::make_unique<boost::asio::steady_timer>(guest_.shared().io);
  }
  hold_timer_->expires_after(kHoldBack);
  hold_timer_->async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (error || !*alive || phase_ != Phase::kBody) return;
    ReleaseHeld();
    guest_.channel().session().ResumeBody(stream_);
    guest_.channel().FlushSoon();
  });
}

void Request::ReleaseHeld() {
  if (!body_secrets_ || !body_secrets_->holding()) return;
  const size_t before = body_.size();
  body_secrets_->Flush(body_);
  KeepForRecording(before);
  if (phase_ == Phase::kBody && !blocked_) WaitForGuest();
}

}  // namespace postern::broker
