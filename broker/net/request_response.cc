// Request's response: fields and body as they come in from the origin.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>

#include "base/format.h"
#include "base/text.h"
#include "broker/net/net_binding.h"
#include "broker/net/request.h"
#include "broker/upstream/http_fields.h"
#include "channel/postern_fields.h"
#include "policy/secrets/representation.h"

namespace postern::broker {
namespace {

using channel::Failure;
using channel::Fields;

constexpr int kMaxInformed = 100;  // informational responses that a guest gets of a request
constexpr size_t kBufferedBody = 256 * 1024;  // bytes of a response held here before libcurl pauses
// What a filter lets through goes to the guest in blocks of this many bytes: pieces of what came in
// would be shorter by what a placeholder is shorter than its secret.
constexpr size_t kFilteredBlock = 4 * 1024;
// After how long a pause of the origin whole lines go before their block is full.
constexpr auto kLinesAfter = std::chrono::milliseconds(5);

Failure TooLarge(const channel::FailureKind& kind, const std::string& what, int64_t limit,
                 const char* key) {
  return {kind, fmt::format("{} is larger than the limit of {} ({})", what, limit, key)};
}

}  // namespace

size_t Request::OnHeader(char* data, size_t size, size_t count, void* arg) {
  auto* self = static_cast<Request*>(arg);
  return self->TakeHeaderLine({data, size * count}) ? size * count : 0;
}

bool Request::TakeHeaderLine(std::string_view line) {
  // Of a host to which secrets go the fields count as the guest gets them (ParseField): what is
  // left is bounded by libcurl alone, at 300 kB.
  if (secrets_ == nullptr && !CountHeader(line.size())) return false;
  if (responded_) {  // trailers; of a host to which secrets go none
    const bool kept = raw_ && secrets_ == nullptr && line != "\r\n" && line != "\n";
    return !kept || ParseField(line);
  }
  if (line.starts_with("HTTP/")) return ParseStatusLine(line);
  if (line == "\r\n" || line == "\n") return EndOfHeaders();
  return ParseField(line);
}

bool Request::CountHeader(size_t bytes) {
  const int64_t limit = guest_.policy().limits.header_bytes;
  header_bytes_ += bytes;
  if (header_bytes_ <= static_cast<size_t>(limit)) return true;
  failure_ = TooLarge(channel::kErrLimitOfHeaders, "the header section of " + url_.HostPort(),
                      limit, "header_bytes");
  return false;
}

bool Request::ParseStatusLine(std::string_view line) {
  response_fields_.clear();
  content_length_.reset();
  header_count_ = 0;
  const size_t space = line.find(' ');
  const std::string rest = space == std::string_view::npos ? "" : Trim(line.substr(space + 1));
  http_version_ = line.substr(0, std::min(space, line.size()));
  names_.clear();
  chunked_ = folds_ = false;
  status_ = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), status_);
  reason_ = Trim(std::string_view(rest).substr(static_cast<size_t>(end - rest.data())));
  if (absolute_form_ && status_ == 407) {
    failure_ = Failure{channel::kErrProxyAuthentication,
                       "the proxy wants other credentials than the policy's"};
    return false;
  }
  if (secrets_ != nullptr) {
    reason_ = Trim(policy::WithoutSecrets(reason_, secrets_));
    if (const auto why = policy::UnfilterableStatus(status_)) return Unfilterable(*why);
    if (!CountHeader(reason_.size())) return false;
  }
  if (status_ == 101)
    return Malformed("switched to another protocol (101), which nobody asked for");
  // Up to 999, as every client takes it: beyond 599 there are some in use (RFC 9110 section 15).
  const bool known =
      http_version_ == "HTTP/1.1" || http_version_ == "HTTP/1.0" || http_version_ == "HTTP/2";
  if (error == std::errc() && status_ >= 100 && status_ <= 999 && known) return true;
  return Malformed("answered with a malformed status line");
}

bool Request::Malformed(const std::string& what) {
  failure_ = Failure{channel::kErrHttpProtocol, url_.HostPort() + " " + what};
  return false;
}

bool Request::ParseField(std::string_view line) {
  if (line.starts_with(' ') || line.starts_with('\t')) return Unfold(line);
  folds_ = false;
  const size_t colon = line.find(':');
  const std::string written(line.substr(0, colon));
  std::string name = AsciiLower(written);
  std::string value = colon == std::string_view::npos ? "" : Trim(line.substr(colon + 1));
  const bool valid =
      colon != std::string_view::npos &&
      nghttp2_check_header_name(reinterpret_cast<const uint8_t*>(name.data()), name.size()) != 0 &&
      nghttp2_check_header_value(reinterpret_cast<const uint8_t*>(value.data()), value.size()) != 0;
  if (!valid) return Malformed("answered with a malformed header field");
  const policy::NetworkLimits& limits = guest_.policy().limits;
  if (++header_count_ > static_cast<size_t>(limits.header_count)) {
    failure_ =
        TooLarge(channel::kErrLimitOfHeaders, "the number of header fields of " + url_.HostPort(),
                 limits.header_count, "header_count");
    return false;
  }
  if (name == "transfer-encoding") return TakeTransferEncoding(value);
  if (name == "content-length") return TakeLength(written, value);
  if (secrets_ != nullptr) {
    if (const auto why = policy::UnfilterableField(name, value)) return Unfilterable(*why);
    if (policy::TellsOfContent(name) || policy::HoldsSecret(name, secrets_)) return true;
    value = Trim(policy::WithoutSecrets(value, secrets_));
    if (!CountHeader(name.size() + value.size())) return false;
  }
  if (!Forwarded(name)) return true;
  // A trailer is none of what says how the message itself is to be read (RFC 9110 section 6.5.1).
  Fields& to = responded_ ? trailers_ : response_fields_;
  to.push_back({std::move(name), std::move(value)});
  folds_ = true;
  if (raw_) (responded_ ? trailer_names_ : names_).push_back(written);
  return true;
}

// A value that goes on in another line (RFC 9112 section 5.2). What says how the message is to be
// read does not, nor what a secret could hide in.
bool Request::Unfold(std::string_view line) {
  const std::string more = Trim(line);
  const auto* bytes = reinterpret_cast<const uint8_t*>(more.data());
  if (!folds_ || secrets_ != nullptr || nghttp2_check_header_value(bytes, more.size()) == 0) {
    return Malformed("answered with a malformed header field");
  }
  std::string& value = (responded_ ? trailers_ : response_fields_).back().value;
  value += (value.empty() || more.empty() ? "" : " ") + more;
  return true;
}

bool Request::TakeLength(const std::string& written, const std::string& value) {
  const auto length = LengthIn(value);
  if (!length) return Malformed("gave a Content-Length that is none: " + value.substr(0, 40));
  if (responded_) return true;
  if (content_length_ && *content_length_ != *length) {
    return Malformed("gave two different Content-Lengths");
  }
  // Under another name on the channel: a body cut short must end in a failure, not in a stream
  // error. A length would tell that of a secret, whose place a placeholder takes.
  if (!content_length_ && secrets_ == nullptr) {
    response_fields_.push_back({channel::kContentLength, *length});
    if (raw_) names_.push_back(written);
  }
  content_length_ = length;
  return true;
}

bool Request::TakeTransferEncoding(const std::string& value) {
  if (responded_) return true;
  const TransferCoding coding = TransferCodingIn(value);
  if (coding == TransferCoding::kUnknown || (chunked_ && coding == TransferCoding::kChunked)) {
    return Malformed("sent a transfer coding that nobody asked for: " + value.substr(0, 40));
  }
  chunked_ = chunked_ || coding == TransferCoding::kChunked;
  return true;
}

// A response that has both is read by its chunks, and may be an attempt to split a response: the
// connection serves no other (RFC 9112 section 6.1).
void Request::ForgetLengthOfChunks() {
  if (!chunked_ || !content_length_) return;
  curl_easy_setopt(easy_, CURLOPT_FORBID_REUSE, 1L);
  for (size_t i = 0; i < response_fields_.size(); ++i) {
    if (response_fields_[i].name != channel::kContentLength) continue;
    response_fields_.erase(response_fields_.begin() + static_cast<ptrdiff_t>(i));
    if (raw_) names_.erase(names_.begin() + static_cast<ptrdiff_t>(i));
    return;
  }
}

bool Request::Unfilterable(const std::string& why) {
  body_.clear();
  body_at_ = 0;
  failure_ = Failure{channel::kErrSecretCoding,
                     url_.HostPort() + " sent " + policy::WithoutSecrets(why, secrets_) +
                         "; a secret could hide in it, so that nothing of it is let through"};
  return false;
}

bool Request::EndOfHeaders() {
  if (status_ < 200) {  // the deadline runs on
    if (raw_) Inform(ResponseHead());
    return true;
  }
  ForgetLengthOfChunks();
  const bool given_up = expects_ && status_ == 417;
  if (given_up) ForgetBody();
  const Fields fields = ResponseHead();
  if (const Status sent = guest_.channel().session().Respond(stream_, fields, true); !sent) {
    failure_ =
        Failure{channel::kErrLimitOfHeaders,
                url_.HostPort() + " answered what a guest cannot get: " + sent.error().message};
    return false;
  }
  responded_ = true;
  folds_ = false;  // no trailer does before it has begun
  if (secrets_ != nullptr) body_filter_.emplace(secrets_);
  EnterPhase(Phase::kBody);
  guest_.channel().FlushSoon();
  return !given_up;
}

// What the guest gets of a response before its body.
Fields Request::ResponseHead() const {
  Fields fields = {{":status", std::to_string(status_)},
                   {channel::kStatusText, channel::EscapeText(reason_)}};
  fields.insert(fields.end(), response_fields_.begin(), response_fields_.end());
  if (!raw_) return fields;
  fields.push_back(
      {channel::kConnection, (http_version_.size() > 5 ? http_version_.substr(5) : "1.1") + peer_});
  const std::string names = JoinNames(names_);
  if (names.empty()) return fields;
  fields.push_back({channel::kNames, names});
  if (!channel::CheckFields(fields)) fields.pop_back();  // too long: they stay in lower case
  return fields;
}

void Request::Inform(const Fields& information) {
  if (secrets_ != nullptr || ++informed_ > kMaxInformed) return;
  // One that is too large for the channel is left out: the response is still to come.
  (void)guest_.channel().session().Inform(stream_, information);
  guest_.channel().FlushSoon();
}

// libcurl would repeat a request without Expect that was answered with 417, which is for who asked
// to decide: what it reads on is for nobody.
void Request::ForgetBody() {
  cut_off_ = true;
  std::erase_if(response_fields_, [](const channel::Field& f) {
    return f.name == channel::kContentLength || f.name == "content-encoding";
  });
  names_.clear();
}

// Whether nothing but the connection's end says where the body does.
bool Request::EndsWithItsConnection() const {
  return http_version_.starts_with("HTTP/1") && !content_length_ && !chunked_ &&
         method_ != "HEAD" && status_ != 204 && status_ != 304;
}

void Request::TrailersFor(Fields* out) const {
  *out = trailers_;
  const std::string names = JoinNames(trailer_names_);
  if (!names.empty() && !trailers_.empty()) out->push_back({channel::kNames, names});
  if (!channel::CheckFields(*out)) out->clear();
}

size_t Request::OnBody(char* data, size_t size, size_t count, void* arg) {
  auto* self = static_cast<Request*>(arg);
  if (self->body_.size() - self->body_at_ >= kBufferedBody) {
    self->body_paused_ = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  return self->ReceiveBody({data, size * count}) ? size * count : 0;
}

bool Request::ReceiveBody(std::string_view data) {
  CountProgress(data.size());
  if (body_filter_) return FilterBody(data);
  if (!CountBody(data.size())) return false;
  AppendBody(data);
  return true;
}

// Counts what the guest gets: of a host to which secrets go, what the filter leaves.
bool Request::CountBody(size_t bytes) {
  body_total_ += static_cast<int64_t>(bytes);
  guest_.usage().bytes_in += bytes;
  const int64_t limit = guest_.policy().limits.response_bytes;
  if (body_total_ > limit) {
    failure_ = TooLarge(channel::kErrLimitOfBody, "the response of " + url_.HostPort(), limit,
                        "response_bytes");
    return false;
  }
  if (OverTotalBytes()) {
    failure_ = TotalBytesFailure();
    return false;
  }
  return true;
}

void Request::AppendBody(std::string_view bytes) {
  if (bytes.empty()) return;
  if (body_at_ > kBufferedBody) body_.erase(0, std::exchange(body_at_, 0));
  body_.append(bytes);
  KeepForRecording(&har::HarEntry::response_body, bytes);
  if (!blocked_) WaitForGuest();
  guest_.channel().session().ResumeBody(stream_);
  guest_.channel().FlushSoon();
}

// What a recording has of a body is what the guest sends or gets. One that is too large, or for
// which there is no room beside the others, is left out as a whole, but for its size.
void Request::KeepForRecording(har::Body har::HarEntry::*body, std::string_view bytes) {
  if (!recorded_) return;
  har::Body& kept = (*recorded_).*body;
  kept.size += static_cast<int64_t>(bytes.size());
  if (!kept.missing.empty() || bytes.empty()) return;
  const bool room = kept.bytes.size() + bytes.size() <= har::kMaxKeptBody &&
                    guest_.shared().log->ReserveRecording(bytes.size());
  if (room) {
    kept.bytes.append(bytes);
    return;
  }
  guest_.shared().log->ReleaseRecording(kept.bytes.size());
  kept.bytes = {};
  kept.missing = har::kTooLarge;
}

bool Request::FilterBody(std::string_view data) {
  const size_t before = filtered_.size();
  body_filter_->Feed(data, filtered_);
  if (!CountBody(filtered_.size() - before)) return false;
  const size_t total = filtered_total_ + filtered_.size();
  ReleaseFiltered(std::max(total - total % kFilteredBlock, filtered_total_) - filtered_total_);
  if (!filtered_.empty()) ReleaseLinesAfterPause();
  return true;
}

// The first `bytes` of what the filter let through.
void Request::ReleaseFiltered(size_t bytes) {
  AppendBody(std::string_view(filtered_).substr(0, bytes));
  filtered_.erase(0, bytes);
  filtered_total_ += bytes;
}

// So that lines of an event stream come when they are sent. What the filter itself holds back is
// not among them.
void Request::ReleaseLinesAfterPause() {
  if (!line_timer_) {
    line_timer_ = std::make_unique<boost::asio::steady_timer>(guest_.shared().io);
  }
  line_timer_->expires_after(kLinesAfter);
  line_timer_->async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (error || !*alive || phase_ != Phase::kBody) return;
    ReleaseFiltered(filtered_.rfind('\n') + 1);
  });
}

void Request::EndBody() {
  if (!body_filter_) return;
  const size_t before = filtered_.size();
  body_filter_->Flush(filtered_);
  if (CountBody(filtered_.size() - before)) ReleaseFiltered(filtered_.size());
}

}  // namespace postern::broker
