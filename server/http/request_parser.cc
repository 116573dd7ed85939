#include "server/http/request_parser.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/format.h"
#include "base/text.h"

namespace postern::server {
namespace {

using channel::Field;

constexpr size_t kMaxMethod = 32;
constexpr size_t kMaxSizeDigits = 16;  // of a chunk's size, in hexadecimal

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// No byte of a line, but that its end may come next (RFC 9110 section 5.5, RFC 9112 section 2.2).
bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

// RFC 3986 gives ASCII; other bytes come from clients that write what their user typed.
bool IsTarget(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f && c != '#';
  });
}

// RFC 9112 section 3.2: origin-form, absolute-form, and two that belong to one method each.
bool HasForm(std::string_view method, std::string_view target) {
  if (method == "CONNECT") return true;
  if (target == "*") return method == "OPTIONS";
  const size_t colon = target.find(':');
  if (target[0] == '/' || colon == std::string_view::npos) return target[0] == '/';
  const std::string scheme = AsciiLower(target.substr(0, colon));
  if ((scheme != "http" && scheme != "https") || !target.substr(colon).starts_with("://"))
    return false;
  const std::string_view authority = target.substr(colon + 3);  // RFC 9110 section 4.2.1: not empty
  return !authority.empty() && std::string_view("/?").find(authority[0]) == std::string_view::npos;
}

// RFC 9110 section 7.2: uri-host [ ":" port ], and nothing where there is no authority.
bool IsHost(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte < 0x7f &&
           std::string_view("\"#/<>?@\\^`{|}").find(c) == std::string_view::npos;
  });
}

std::string_view Trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

// Whether codings that we do not have come before one last "chunked" (RFC 9112 section 6.1: 501).
bool HasForeignCoding(std::string_view list) {
  constexpr std::string_view kLast = "chunked";
  const size_t comma = list.rfind(',');
  if (comma == std::string_view::npos || Trimmed(list.substr(comma + 1)) != kLast) return false;
  list = list.substr(0, comma + 1);
  for (size_t at = 0; at < list.size();) {
    const size_t end = list.find(',', at);
    const std::string_view coding = Trimmed(list.substr(at, end - at));
    if (!IsToken(coding) || coding == kLast) return false;
    at = end + 1;
  }
  return true;
}

bool HasOption(std::string_view list, std::string_view option) {
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    if (EqualsIgnoringCase(Trimmed(list.substr(at, comma - at)), option)) return true;
    at = comma + 1;
  }
  return false;
}

// What the fields say of the message's end and of the connection, each with how often.
struct RequestFraming {
  std::string transfer_encoding, content_length, host;
  int transfer_encodings = 0, content_lengths = 0, hosts = 0;
  bool close = false, keep_alive = false;

  explicit RequestFraming(const channel::Fields& fields) {
    for (const Field& f : fields) {
      if (f.name == "transfer-encoding") {
        transfer_encoding = f.value;
        ++transfer_encodings;
      } else if (f.name == "content-length") {
        content_length = f.value;
        ++content_lengths;
      } else if (f.name == "host") {
        host = f.value;
        ++hosts;
      } else if (f.name == "connection") {
        close = close || HasOption(f.value, "close");
        keep_alive = keep_alive || HasOption(f.value, "keep-alive");
      }
    }
  }
};

}  // namespace

size_t RequestParser::Parse(std::string_view bytes) {
  size_t used = 0;
  while (!problem_ && !complete()) {
    const State before = state_;
    const size_t n = Step(bytes.substr(used));
    used += n;
    if (n == 0 && state_ == before) break;
  }
  return used;
}

// One line, or as much of the body as is there.
size_t RequestParser::Step(std::string_view bytes) {
  if (state_ == State::kLength || state_ == State::kChunk) return TakeBody(bytes);
  std::optional<std::string_view> line;
  if (state_ == State::kChunkLine) {
    line = Line(bytes, kChunkLineBytes, "a chunk's line");
  } else if (state_ == State::kChunkEnd) {
    line = Line(bytes, 2, "a chunk's end");
  } else {
    line = Line(bytes, kHeaderBytes - header_bytes_, "a request's header fields");
  }
  if (!line) return 0;
  OnLine(*line);
  return line->size() + 2;
}

// A complete line, without its end; nullopt where there is none yet, or a problem.
std::optional<std::string_view> RequestParser::Line(std::string_view bytes, size_t limit,
                                                    const char* what) {
  const size_t end = bytes.find('\n', std::min(scanned_, bytes.size()));
  const bool whole = end != std::string_view::npos;
  if ((whole ? end + 1 : bytes.size()) > limit) {
    const bool fields =
        state_ == State::kStart || state_ == State::kFields || state_ == State::kTrailers;
    if (fields) {
      Refuse(fmt::format("{} have at most {} bytes", what, kHeaderBytes), 431);
    } else {
      Refuse(fmt::format("{} has at most {} bytes", what, limit));
    }
    return std::nullopt;
  }
  // RFC 9112 section 2.2 lets a server take a line feed alone. Others before it may not.
  if (whole && (end == 0 || bytes[end - 1] != '\r')) {
    Refuse("a line does not end in CR LF");
    return std::nullopt;
  }
  const size_t until = whole ? end - 1 : bytes.size() - (bytes.ends_with('\r') ? 1 : 0);
  const std::string_view fresh =
      bytes.substr(std::min(scanned_, until), until - std::min(scanned_, until));
  if (std::any_of(fresh.begin(), fresh.end(), IsControl)) {
    Refuse("a line has control characters");
    return std::nullopt;
  }
  scanned_ = whole ? 0 : until;
  if (!whole) return std::nullopt;
  return bytes.substr(0, until);
}

void RequestParser::OnLine(std::string_view line) {
  switch (state_) {
    case State::kStart:
      header_bytes_ += line.size() + 2;
      // RFC 9112 section 2.2: one empty line before a request is passed over.
      if (line.empty() && !std::exchange(blank_line_, true)) return;
      return RequestLine(line);
    case State::kFields:
    case State::kTrailers:
      header_bytes_ += line.size() + 2;
      if (!line.empty()) return FieldLine(line);
      return state_ == State::kFields ? EndOfHead() : Complete();
    case State::kChunkLine:
      return ChunkLine(line);
    case State::kChunkEnd:
      if (!line.empty()) return Refuse("a chunk is longer than it says");
      state_ = State::kChunkLine;
      return;
    default:
      return;
  }
}

size_t RequestParser::TakeBody(std::string_view bytes) {
  const size_t n = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
  if (n == 0) return 0;
  left_ -= n;
  const bool last = left_ == 0;
  if (last && state_ == State::kChunk) state_ = State::kChunkEnd;
  sink_.OnBody(bytes.substr(0, n));
  if (last && state_ == State::kLength) Complete();
  return n;
}

void RequestParser::Complete() {
  state_ = State::kComplete;
  sink_.OnComplete();
}

// method SP request-target SP HTTP-version; no other blanks (RFC 9112 section 3).
void RequestParser::RequestLine(std::string_view line) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return Refuse("the request's line is no method, target and version");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (method.size() > kMaxMethod || !IsToken(method)) return Refuse("the request's method is none");
  if (!IsTarget(target) || !HasForm(method, target))
    return Refuse("the request's target is neither a path nor a URL");
  if (version != "HTTP/1.1" && version != "HTTP/1.0")
    return Refuse("the request's version is neither HTTP/1.1 nor HTTP/1.0");
  head_.method = method;
  head_.target = target;
  head_.http11 = version == "HTTP/1.1";
  state_ = State::kFields;
}

// field-name ":" OWS field-value OWS (RFC 9112 section 5); neither folded nor with a blank before
// the colon, which section 5.1 has a server refuse.
void RequestParser::FieldLine(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon)))
    return Refuse("a header field has no name");
  const std::string_view value = Trimmed(line.substr(colon + 1));
  if (state_ == State::kTrailers) return;
  head_.fields.push_back({AsciiLower(line.substr(0, colon)), std::string(value)});
}

void RequestParser::EndOfHead() {
  const RequestFraming framing(head_.fields);
  if (framing.hosts > 1 || (framing.hosts == 0 && head_.http11))
    return Refuse("a request has one Host field");
  if (!IsHost(framing.host)) return Refuse("the request's Host is no host");
  head_.keep_alive = !framing.close && (head_.http11 || framing.keep_alive);
  // RFC 9112 section 6.1: a request with both, or of HTTP/1.0, may be an attack on whoever passed
  // it on; with any coding after "chunked" its end is unknown.
  if (framing.transfer_encodings > 0) {
    if (framing.content_lengths > 0)
      return Refuse("a request has one of Content-Length and Transfer-Encoding");
    if (!head_.http11) return Refuse("HTTP/1.0 has no Transfer-Encoding");
    const std::string coding = AsciiLower(framing.transfer_encoding);
    if (framing.transfer_encodings > 1) return Refuse("a request has one Transfer-Encoding");
    if (HasForeignCoding(coding))
      return Refuse("of transfer codings there is \"chunked\" alone", 501);
    if (coding != "chunked") return Refuse("the request's Transfer-Encoding is not \"chunked\"");
    head_.chunked = true;
  }
  if (framing.content_lengths > 1) return Refuse("a request has one Content-Length");
  if (framing.content_lengths == 1) {
    const std::string& text = framing.content_length;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), head_.length);
    if (text.empty() || !IsDigit(text[0]) || error != std::errc() ||
        end != text.data() + text.size())
      return Refuse("the request's Content-Length is no number");
    if (head_.length > body_limit_)
      return Refuse(fmt::format("a body has at most {} bytes", body_limit_), 413);
  }
  left_ = head_.length;
  state_ = head_.chunked ? State::kChunkLine : State::kLength;
  const bool ends = !head_.has_body();
  sink_.OnHead(std::move(head_));
  if (ends) Complete();
}

// chunk-size [ chunk-ext ] (RFC 9112 section 7.1). Extensions are passed over, within bounds.
void RequestParser::ChunkLine(std::string_view line) {
  const size_t digits = std::min(line.find_first_not_of("0123456789abcdefABCDEF"), line.size());
  uint64_t size = 0;
  if (digits == 0 || digits > kMaxSizeDigits ||
      std::from_chars(line.data(), line.data() + digits, size, 16).ec != std::errc())
    return Refuse("a chunk's size is no number");
  const std::string_view extension = line.substr(digits);
  if (!extension.empty()) {
    if (!Trimmed(extension).starts_with(';')) return Refuse("a chunk's size is no number");
    extension_bytes_ += extension.size();
    if (extension_bytes_ > kChunkExtensionBytes)
      return Refuse(
          fmt::format("a body's chunk extensions have at most {} bytes", kChunkExtensionBytes));
  }
  if (size > body_limit_ - body_bytes_)
    return Refuse(fmt::format("a body has at most {} bytes", body_limit_), 413);
  body_bytes_ += size;
  left_ = size;
  state_ = size == 0 ? State::kTrailers : State::kChunk;
}

void RequestParser::Refuse(std::string detail, int status) {
  problem_ = Problem{status, std::move(detail)};
}

}  // namespace postern::server
