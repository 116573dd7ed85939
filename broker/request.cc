#include "broker/request.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cctype>
#include <charconv>

#include "broker/curl_failure.h"
#include "broker/net_guest.h"

namespace postern::broker {
namespace {

using channel::Failure;
using channel::Fields;
using std::chrono::milliseconds;

constexpr size_t kBufferedBody = 256 * 1024;  // bytes of a response held here before libcurl pauses
constexpr size_t kResumeBelow = 64 * 1024;

// RFC 9110 section 7.6.1 (hop by hop), and what the broker itself decides.
constexpr std::string_view kNotForwarded[] = {"connection",
                                              "content-length",
                                              "expect",
                                              "host",
                                              "keep-alive",
                                              "proxy-authenticate",
                                              "proxy-authorization",
                                              "proxy-connection",
                                              "proxy-status",
                                              "te",
                                              "trailer",
                                              "transfer-encoding",
                                              "upgrade"};

bool Forwarded(std::string_view name) {
  return !name.starts_with("postern-") && !name.starts_with(':') &&
         std::find(std::begin(kNotForwarded), std::end(kNotForwarded), name) ==
             std::end(kNotForwarded);
}

std::string Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::string Seconds(int64_t ms) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", static_cast<double>(ms) / 1000);
  return text;
}

Failure TooLarge(const char* error, const std::string& what, int64_t limit, const char* key) {
  return {error, "ERR_LIMIT",
          what + " is larger than the limit of " + std::to_string(limit) + " (" + key + ")"};
}

}  // namespace

Request::Request(NetGuest& guest, int32_t stream)
    : guest_(guest), stream_(stream), started_(Clock::now()) {
  total_deadline_ = started_ + milliseconds(guest.policy().limits.total_timeout);
}

Request::~Request() {
  *alive_ = false;
  if (resolving_ != 0) guest_.resolver().Cancel(resolving_);
  StopTransfer();
  curl_slist_free_all(header_list_);
  curl_slist_free_all(resolve_list_);
}

void Request::StopTransfer() {
  if (easy_ == nullptr) return;
  if (running_) guest_.curl().Remove(easy_);
  running_ = false;
  upload_paused_ = false;
  body_paused_ = false;
  guest_.curl().Release(std::exchange(easy_, nullptr));
}

void Request::Start(Fields fields, bool has_body) {
  has_upload_ = has_body;
  upload_ended_ = !has_body;
  if (auto failure = Decide(fields)) return Fail(std::move(*failure));
  request_fields_ = std::move(fields);
  Enter(Phase::kResolve);
  Resolve();
}

std::optional<Failure> Request::Decide(const Fields& fields) {
  Usage& usage = guest_.usage();
  const policy::Policy& policy = guest_.policy();
  ++usage.requests;
  const auto denied = [&](std::string why) {
    ++usage.denied;
    return Failure{"http_request_denied", "ERR_NETWORK_DENIED", std::move(why)};
  };
  const std::string* method = FindField(fields, ":method");
  const std::string* scheme = FindField(fields, ":scheme");
  const std::string* authority = FindField(fields, ":authority");
  const std::string* path = FindField(fields, ":path");
  if (method == nullptr || *method == "CONNECT" || *method == "TRACE" || *method == "TRACK") {
    return denied("the method is not allowed");
  }
  if (scheme == nullptr || authority == nullptr || path == nullptr ||
      (*scheme != "http" && *scheme != "https")) {
    return denied("a request needs an http or https URL");
  }
  auto url = policy::ParseUrl(*scheme + "://" + *authority + *path);
  if (!url) return denied(url.error().message);
  if (url->has_credentials)
    return denied("a URL with user info is refused; send an Authorization header");
  method_ = *method;
  url_ = *std::move(url);
  const policy::Decision decision = policy::Decide(policy, url_);
  if (!decision.allow) return denied(decision.reason);
  rule_ = decision.rule;
  if (policy.adapter == policy::AdapterKind::kNone) {
    ++usage.denied;
    return Failure{"proxy_configuration_error", "ERR_NO_NETWORK_ADAPTER",
                   std::string(channel::kNoAdapter)};
  }
  if (usage.requests > static_cast<uint64_t>(policy.limits.requests)) {
    return Failure{"connection_limit_reached", "ERR_LIMIT",
                   "this guest has used up its " + std::to_string(policy.limits.requests) +
                       " requests (requests)"};
  }
  return std::nullopt;
}

std::optional<std::string> Request::Blocked(const policy::IpAddress& address) const {
  return policy::AddressBlocked(guest_.policy(), *rule_, url_, address,
                                guest_.shared().own_addresses.list());
}

void Request::Resolve() {
  if (const auto ip = policy::IpAddress::Parse(url_.host)) return Connect({*ip});
  const auto done = [this](Resolver::Addresses addresses, std::optional<Failure> failure) {
    resolving_ = 0;
    if (failure) return Fail(std::move(*failure));
    Connect(addresses);
  };
  const uint64_t id = guest_.resolver().Resolve(url_.host, done);
  if (id != 0) resolving_ = id;
}

void Request::Connect(const std::vector<policy::IpAddress>& addresses) {
  std::string why, first;
  for (const policy::IpAddress& a : addresses) {
    if (auto blocked = Blocked(a)) {
      if (first.empty()) first = a.ToString(), why = *blocked;
    } else {
      addresses_.push_back(a);
    }
  }
  if (addresses_.empty()) {
    ++guest_.usage().denied;
    return Fail(
        {"destination_ip_prohibited", "ERR_ADDRESS_BLOCKED",
         "the address " + first + " of " + url_.HostPort() + " is blocked (" + why +
             "); a rule for the address itself, or addresses: on its rule, would allow it"});
  }
  easy_ = guest_.curl().Acquire();
  if (easy_ == nullptr)
    return Fail({"proxy_internal_error", "ERR_BROKER_RESOURCES", "the broker is out of memory"});
  SetUp(easy_);
  Enter(Phase::kConnect);
  running_ = true;
  guest_.curl().Add(easy_, [this](CURLcode code) {
    running_ = false;
    Finished(code);
  });
}

void Request::SetUp(CURL* easy) {
  const bool v6 = url_.host.find(':') != std::string::npos;
  const std::string host = v6 ? "[" + url_.host + "]" : url_.host;
  const std::string origin = url_.scheme + "://" + host + ":" + std::to_string(url_.port);
  curl_easy_setopt(easy, CURLOPT_URL, (origin + url_.path + url_.query).c_str());
  if (!url_.host_is_ip) {
    std::string entry = "+" + url_.host + ":" + std::to_string(url_.port) + ":";
    for (size_t i = 0; i < addresses_.size(); ++i) {
      entry += (i == 0 ? "" : ",") +
               (addresses_[i].v6 ? "[" + addresses_[i].ToString() + "]" : addresses_[i].ToString());
    }
    resolve_list_ = curl_slist_append(nullptr, entry.c_str());
    curl_easy_setopt(easy, CURLOPT_RESOLVE, resolve_list_);
  }
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // never the environment's
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 128L * 1024);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(guest_.policy().limits.total_timeout + 60'000));
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text_);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, OnOpenSocket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, OnConnected);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
  if (url_.scheme == "https") {
    curl_easy_setopt(easy, CURLOPT_CAINFO, nullptr);
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, OnTlsStart);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, this);
  }
  SetUpMethod();
}

void Request::SetUpMethod() {
  for (const channel::Field& f : request_fields_) {
    if (!Forwarded(f.name)) continue;
    header_list_ = curl_slist_append(
        header_list_, (f.value.empty() ? f.name + ";" : f.name + ": " + f.value).c_str());
  }
  header_list_ = curl_slist_append(header_list_, "Expect:");  // never waits for 100 Continue
  if (FindField(request_fields_, "accept") == nullptr)
    header_list_ = curl_slist_append(header_list_, "Accept:");
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, header_list_);
  const bool sends = has_upload_ || method_ == "POST" || method_ == "PUT" || method_ == "PATCH";
  if (!sends) {
    if (method_ == "HEAD") {
      curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
    } else {
      curl_easy_setopt(easy_, CURLOPT_HTTPGET, 1L);
      if (method_ != "GET") curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, method_.c_str());
    }
    return;
  }
  curl_off_t size = has_upload_ ? -1 : 0;  // -1: chunked
  if (const std::string* length = FindField(request_fields_, "content-length");
      has_upload_ && length != nullptr) {
    std::from_chars(length->data(), length->data() + length->size(), size);
  }
  curl_easy_setopt(easy_, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, method_.c_str());
  curl_easy_setopt(easy_, CURLOPT_INFILESIZE_LARGE, size);
  curl_easy_setopt(easy_, CURLOPT_READFUNCTION, OnSend);
  curl_easy_setopt(easy_, CURLOPT_READDATA, this);
}

// ---- libcurl's callbacks

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
  std::memcpy(buffer, self->upload_.data() + self->upload_at_, n);
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

// Two clocks, of which one runs: the idle one measures the origin while nothing waits here for the
// guest; the other measures the guest while something does.
void Request::CountProgress(size_t bytes) {
  period_bytes_ += static_cast<int64_t>(bytes);
  if (period_bytes_ < guest_.policy().limits.min_bytes) return;
  period_bytes_ = 0;
  idle_left_ = milliseconds(guest_.policy().limits.idle_timeout);
  idle_since_ = Clock::now();
}

void Request::RunIdleClock() {
  blocked_ = false;
  idle_since_ = Clock::now();
  Arm(idle_since_ + idle_left_);
}

void Request::WaitForGuest() {
  const auto now = Clock::now();
  if (!std::exchange(blocked_, true)) {
    idle_left_ = std::max(idle_left_ - (now - idle_since_), Clock::duration::zero());
  }
  Arm(now + milliseconds(guest_.policy().limits.unread_timeout));
}

// ---- the guest's side

void Request::OnUpload(std::span<const uint8_t> data) {
  upload_total_ += static_cast<int64_t>(data.size());
  if (phase_ == Phase::kDone) {
    guest_.channel().session().Consume(stream_, data.size());
    return;
  }
  const int64_t limit = guest_.policy().limits.request_bytes;
  if (upload_total_ > limit) {
    return Fail({"http_request_denied", "ERR_LIMIT",
                 "the request body is larger than the limit of " + std::to_string(limit) +
                     " bytes (request_bytes)"});
  }
  const bool was_empty = upload_.empty();
  upload_.append(reinterpret_cast<const char*>(data.data()), data.size());
  if (phase_ == Phase::kSend && was_empty) Enter(Phase::kSend);
  if (std::exchange(upload_paused_, false))
    curl_easy_pause(easy_, body_paused_ ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

void Request::OnUploadEnd() {
  upload_ended_ = true;
  if (std::exchange(upload_paused_, false))
    curl_easy_pause(easy_, body_paused_ ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

size_t Request::ReadBody(std::span<uint8_t> out, bool* end, Fields* trailers) {
  const size_t n = std::min(out.size(), body_.size() - body_at_);
  std::memcpy(out.data(), body_.data() + body_at_, n);
  body_at_ += n;
  if (body_at_ == body_.size()) {
    body_.clear();
    body_at_ = 0;
    if (phase_ == Phase::kDone) {
      phase_deadline_ = Clock::time_point::max();
      *end = true;
      if (failure_) trailers->push_back({"proxy-status", channel::FormatProxyStatus(*failure_)});
    }
  }
  if (n > 0 && body_at_ < body_.size()) WaitForGuest();  // it does read: its clock begins anew
  if (n > 0 && body_.empty() && phase_ == Phase::kBody) RunIdleClock();
  if (body_paused_ && body_.size() - body_at_ < kResumeBelow) {
    // Not here: this is called while the session writes.
    boost::asio::post(guest_.shared().io, [this, alive = alive_] {
      if (*alive) ResumeIfDrained();
    });
  }
  return n;
}

void Request::ResumeIfDrained() {
  if (!body_paused_ || easy_ == nullptr) return;
  body_paused_ = false;
  curl_easy_pause(easy_, upload_paused_ ? CURLPAUSE_SEND : CURLPAUSE_CONT);
}

// ---- how it ends

void Request::Finished(CURLcode code) {
  if (code != CURLE_OK && !failure_)
    failure_ = CurlFailure(easy_, code, url_.HostPort(), error_text_);
  if (code == CURLE_OK) failure_.reset();
  if (code == CURLE_OK && !responded_) {
    failure_ = Failure{"http_response_incomplete", "ERR_RESPONSE_INCOMPLETE",
                       url_.HostPort() + " sent no response"};
  }
  if (failure_) return Fail(*std::exchange(failure_, std::nullopt));
  StopTransfer();
  phase_ = Phase::kDone;
  if (body_.empty()) {
    phase_deadline_ = Clock::time_point::max();
  } else {
    WaitForGuest();  // for what is left
  }
  guest_.channel().session().ResumeBody(stream_);
  guest_.channel().FlushSoon();
}

void Request::Fail(Failure failure) {
  phase_deadline_ = Clock::time_point::max();
  if (resolving_ != 0) guest_.resolver().Cancel(std::exchange(resolving_, 0));
  StopTransfer();
  phase_ = Phase::kDone;
  auto& session = guest_.channel().session();
  if (responded_) {
    // What did arrive is dropped: a body that is known to be broken helps nobody.
    failure_ = std::move(failure);
    body_.clear();
    body_at_ = 0;
    session.ResumeBody(stream_);
  } else {
    responded_ = true;
    if (!session.Respond(stream_, channel::FailureResponse(failure), false))
      session.Reset(stream_, NGHTTP2_INTERNAL_ERROR);
  }
  guest_.channel().FlushSoon();
}

// ---- deadlines

void Request::Enter(Phase phase) {
  phase_ = phase;
  const policy::Limits& l = guest_.policy().limits;
  const auto now = Clock::now();
  switch (phase) {
    case Phase::kResolve:
      return Arm(now + milliseconds(l.resolve_timeout));
    case Phase::kConnect:
      return Arm(now + milliseconds(l.connect_timeout));
    case Phase::kTls:
      return Arm(now + milliseconds(l.tls_timeout));
    case Phase::kSend:
      return Arm(now + milliseconds(l.upload_timeout));
    case Phase::kHeaders:
      return Arm(now + milliseconds(l.headers_timeout));
    case Phase::kBody:
      idle_left_ = milliseconds(l.idle_timeout);
      return RunIdleClock();
    case Phase::kDecide:
    case Phase::kDone:
      break;
  }
}

void Request::Arm(Clock::time_point deadline) {
  phase_deadline_ = std::min(deadline, total_deadline_);
  guest_.WakeAt(phase_deadline_);
}

Request::Clock::time_point Request::CheckDeadline(Clock::time_point now) {
  if (now >= phase_deadline_) {
    phase_deadline_ = Clock::time_point::max();
    Expired(now);
  }
  return phase_deadline_;
}

void Request::Expired(Clock::time_point now) {
  const policy::Limits& l = guest_.policy().limits;
  const std::string where = url_.HostPort();
  if (now >= total_deadline_ && phase_ != Phase::kDone) {
    const std::string what =
        where + " did not finish within " + Seconds(l.total_timeout) + " (total_timeout)";
    return responded_ ? Fail({"connection_read_timeout", "ERR_TOTAL_TIMEOUT", what})
                      : Fail({"http_response_timeout", "ERR_TOTAL_TIMEOUT", what});
  }
  switch (phase_) {
    case Phase::kResolve:
      return Fail({"dns_timeout", "ERR_DNS_TIMEOUT",
                   "the resolver did not answer for " + url_.host + " within " +
                       Seconds(l.resolve_timeout) + " (resolve_timeout)"});
    case Phase::kConnect:
      return Fail({"connection_timeout", "ERR_CONNECTION_TIMEOUT",
                   "connecting to " + where + " took more than " + Seconds(l.connect_timeout) +
                       " (connect_timeout)"});
    case Phase::kTls:
      return Fail({"connection_timeout", "ERR_TLS_TIMEOUT",
                   "the TLS handshake with " + where + " took more than " + Seconds(l.tls_timeout) +
                       " (tls_timeout)"});
    case Phase::kSend:
      if (upload_.empty())
        return Enter(Phase::kSend);  // the guest has nothing to send: the total bounds it
      return Fail({"connection_write_timeout", "ERR_UPLOAD_TIMEOUT",
                   where + " took nothing of the request body for " + Seconds(l.upload_timeout) +
                       " (upload_timeout)"});
    case Phase::kHeaders:
      return Fail({"http_response_timeout", "ERR_RESPONSE_TIMEOUT",
                   where + " sent no response within " + Seconds(l.headers_timeout) +
                       " (headers_timeout)"});
    case Phase::kBody:
    case Phase::kDone:
      return ExpiredInBody();
    case Phase::kDecide:
      return;
  }
}

void Request::ExpiredInBody() {
  const policy::Limits& l = guest_.policy().limits;
  if (blocked_) {
    return Fail({"connection_write_timeout", "ERR_BODY_UNREAD",
                 "the guest read nothing of the body of " + url_.HostPort() + " for " +
                     Seconds(l.unread_timeout) + " (unread_timeout)"});
  }
  if (phase_ == Phase::kDone) return;
  Fail({"connection_read_timeout", "ERR_BODY_TIMEOUT",
        "the body of " + url_.HostPort() + " stalled for " + Seconds(l.idle_timeout) +
            " (idle_timeout)"});
}

}  // namespace postern::broker
