#include "broker/request.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>
#include <cstring>

#include "broker/curl_failure.h"
#include "broker/http_fields.h"
#include "broker/net_guest.h"

namespace postern::broker {
namespace {

using channel::Failure;
using channel::Fields;
using std::chrono::milliseconds;

constexpr size_t kResumeBelow =
    64 * 1024;  // bytes of a paused response that are left when libcurl goes on

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
  const policy::Decision decision = guest_.decider().Decide({url_, method_, {}});
  if (!decision.allow) return denied(decision.Sentence());
  rule_ = decision.rule;
  if (policy.adapter.kind == policy::AdapterKind::kNone) {
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
  return policy::AddressBlocked(guest_.policy(), rule_, url_, address,
                                guest_.shared().own_addresses.list());
}

void Request::Resolve() {
  if (const auto ip = policy::IpAddress::Parse(url_.host)) return Connect({*ip});
  const auto done = [this](const Resolver::Addresses& addresses, std::optional<Failure> failure) {
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

}  // namespace postern::broker
