#include "broker/net/response_reader.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "broker/upstream/http_fields.h"
#include "channel/postern_fields.h"
#include "policy/secrets/representation.h"
#include "policy/secrets/secret_filter.h"

namespace postern::broker {
namespace {

bool IsFieldName(const std::string& name) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(name.data());
  return nghttp2_check_header_name(bytes, name.size()) != 0;
}

bool IsFieldValue(const std::string& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(value.data());
  return nghttp2_check_header_value(bytes, value.size()) != 0;
}

bool IsEmptyLine(std::string_view line) { return line == "\r\n" || line == "\n"; }

constexpr size_t kMaxQuoted = 40;  // bytes of a value in a sentence

}  // namespace

channel::Failure TooLarge(const channel::FailureKind& kind, std::string_view what, int64_t limit,
                          const char* key) {
  return {kind, fmt::format("{} is larger than the limit of {} ({})", what, limit, key)};
}

bool ResponseReader::Refuse(const channel::FailureKind& kind, std::string why) {
  failure_ = {kind, std::move(why)};
  return false;
}

bool ResponseReader::Malformed(std::string_view what) {
  return Refuse(channel::kErrHttpProtocol, fmt::format("{} {}", options_.host_port, what));
}

bool ResponseReader::Unfilterable(const std::string& why) {
  return Refuse(
      channel::kErrSecretCoding,
      fmt::format("{} sent {}; a secret could hide in it, so that nothing of it is let through",
                  options_.host_port, policy::WithoutSecrets(why, options_.secrets)));
}

bool ResponseReader::CountHeader(size_t bytes) {
  const int64_t limit = options_.limits.header_bytes;
  header_bytes_ += bytes;
  if (header_bytes_ <= static_cast<size_t>(limit)) return true;
  failure_ =
      TooLarge(channel::kErrLimitOfHeaders,
               fmt::format("the header section of {}", options_.host_port), limit, "header_bytes");
  return false;
}

ResponseReader::Line ResponseReader::Take(std::string_view line) {
  const auto taken = [](bool ok) { return ok ? Line::kTaken : Line::kRefused; };
  // Of a host to which secrets go the fields count as the guest gets them (TakeField): what is left
  // is bounded by libcurl alone, at 300 kB.
  if (options_.secrets == nullptr && !CountHeader(line.size())) return Line::kRefused;
  if (in_trailers_) {  // of a host to which secrets go none
    const bool kept = options_.raw && options_.secrets == nullptr && !IsEmptyLine(line);
    return taken(!kept || TakeField(line));
  }
  if (line.starts_with("HTTP/")) return taken(TakeStatusLine(line));
  if (IsEmptyLine(line)) return Line::kEnd;
  return taken(TakeField(line));
}

void ResponseReader::StartTrailers() {
  in_trailers_ = true;
  folds_ = false;  // no trailer does before it has begun
}

void ResponseReader::Set(int status, std::string reason, channel::Fields fields) {
  status_ = status;
  reason_ = std::move(reason);
  fields_ = std::move(fields);
}

bool ResponseReader::TakeStatusLine(std::string_view line) {
  fields_.clear();
  names_.clear();
  content_length_.reset();
  header_count_ = 0;
  chunked_ = folds_ = false;
  status_ = 0;
  const size_t space = line.find(' ');
  const std::string rest = space == std::string_view::npos ? "" : Trim(line.substr(space + 1));
  http_version_ = line.substr(0, std::min(space, line.size()));
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), status_);
  reason_ = Trim(std::string_view(rest).substr(static_cast<size_t>(end - rest.data())));
  if (from_proxy_ && status_ == 407) {
    return Refuse(channel::kErrProxyAuthentication,
                  "the proxy wants other credentials than the policy's");
  }
  if (options_.secrets != nullptr) {
    reason_ = Trim(policy::WithoutSecrets(reason_, options_.secrets));
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

bool ResponseReader::TakeField(std::string_view line) {
  if (line.starts_with(' ') || line.starts_with('\t')) return Unfold(line);
  folds_ = false;
  const size_t colon = line.find(':');
  const std::string written(line.substr(0, colon));
  std::string name = AsciiLower(written);
  std::string value = colon == std::string_view::npos ? "" : Trim(line.substr(colon + 1));
  if (colon == std::string_view::npos || !IsFieldName(name) || !IsFieldValue(value))
    return Malformed("answered with a malformed header field");
  if (++header_count_ > static_cast<size_t>(options_.limits.header_count)) {
    failure_ = TooLarge(channel::kErrLimitOfHeaders,
                        fmt::format("the number of header fields of {}", options_.host_port),
                        options_.limits.header_count, "header_count");
    return false;
  }
  if (name == "transfer-encoding") return TakeTransferEncoding(value);
  if (name == "content-length") return TakeLength(written, value);
  if (options_.secrets != nullptr) {
    if (const auto why = policy::UnfilterableField(name, value)) return Unfilterable(*why);
    if (policy::TellsOfContent(name) || policy::HoldsSecret(name, options_.secrets)) return true;
    value = Trim(policy::WithoutSecrets(value, options_.secrets));
    if (!CountHeader(name.size() + value.size())) return false;
  }
  if (!Forwarded(name)) return true;
  // A trailer is none of what says how the message itself is to be read (RFC 9110 section 6.5.1).
  (in_trailers_ ? trailers_ : fields_).push_back({std::move(name), std::move(value)});
  folds_ = true;
  if (options_.raw) (in_trailers_ ? trailer_names_ : names_).push_back(written);
  return true;
}

// A value that goes on in another line (RFC 9112 section 5.2). What says how the message is to be
// read does not, nor what a secret could hide in.
bool ResponseReader::Unfold(std::string_view line) {
  const std::string more = Trim(line);
  if (!folds_ || options_.secrets != nullptr || !IsFieldValue(more))
    return Malformed("answered with a malformed header field");
  std::string& value = (in_trailers_ ? trailers_ : fields_).back().value;
  value += (value.empty() || more.empty() ? "" : " ") + more;
  return true;
}

bool ResponseReader::TakeLength(const std::string& written, const std::string& value) {
  const auto length = LengthIn(value);
  if (!length) {
    return Malformed(
        fmt::format("gave a Content-Length that is none: {}", value.substr(0, kMaxQuoted)));
  }
  if (in_trailers_) return true;
  if (content_length_ && *content_length_ != *length)
    return Malformed("gave two different Content-Lengths");
  // Under another name on the channel: a body cut short must end in a failure, not in a stream
  // error. A length would tell that of a secret, whose place a placeholder takes.
  if (!content_length_ && options_.secrets == nullptr) {
    fields_.push_back({channel::kContentLength, *length});
    if (options_.raw) names_.push_back(written);
  }
  content_length_ = length;
  return true;
}

bool ResponseReader::TakeTransferEncoding(const std::string& value) {
  if (in_trailers_) return true;
  const TransferCoding coding = TransferCodingIn(value);
  if (coding == TransferCoding::kUnknown || (chunked_ && coding == TransferCoding::kChunked)) {
    return Malformed(fmt::format("sent a transfer coding that nobody asked for: {}",
                                 value.substr(0, kMaxQuoted)));
  }
  chunked_ = chunked_ || coding == TransferCoding::kChunked;
  return true;
}

bool ResponseReader::DropLengthOfChunks() {
  if (!chunked_ || !content_length_) return false;  // RFC 9112 section 6.1
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (fields_[i].name != channel::kContentLength) continue;
    fields_.erase(fields_.begin() + static_cast<ptrdiff_t>(i));
    if (options_.raw) names_.erase(names_.begin() + static_cast<ptrdiff_t>(i));
    break;
  }
  return true;
}

void ResponseReader::DropBody() {
  std::erase_if(fields_, [](const channel::Field& f) {
    return f.name == channel::kContentLength || f.name == "content-encoding";
  });
  names_.clear();
}

bool ResponseReader::EndsWithItsConnection(std::string_view method) const {
  return http_version_.starts_with("HTTP/1") && !content_length_ && !chunked_ && method != "HEAD" &&
         status_ != 204 && status_ != 304;
}

channel::Fields ResponseReader::ForGuest(const std::string& peer) const {
  channel::Fields fields = {{":status", std::to_string(status_)},
                            {channel::kStatusText, channel::EscapeText(reason_)}};
  fields.insert(fields.end(), fields_.begin(), fields_.end());
  if (!options_.raw) return fields;
  fields.push_back(
      {channel::kConnection,
       fmt::format("{}{}", http_version_.size() > 5 ? http_version_.substr(5) : "1.1", peer)});
  const std::string names = JoinNames(names_);
  if (names.empty()) return fields;
  fields.push_back({channel::kNames, names});
  if (!channel::CheckFields(fields)) fields.pop_back();  // too long: they stay in lower case
  return fields;
}

channel::Fields ResponseReader::TrailersForGuest() const {
  channel::Fields fields = trailers_;
  const std::string names = JoinNames(trailer_names_);
  if (!names.empty() && !trailers_.empty()) fields.push_back({channel::kNames, names});
  if (!channel::CheckFields(fields)) fields.clear();
  return fields;
}

}  // namespace postern::broker
