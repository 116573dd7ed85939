#include "broker/net/request.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>

#include "broker/net/net_binding.h"
#include "broker/upstream/curl_failure.h"
#include "broker/upstream/http_fields.h"
#include "channel/postern_fields.h"
#include "policy/address_guard.h"

namespace postern::broker {
namespace {

using channel::Failure;
using channel::Fields;
using std::chrono::milliseconds;

// Bytes of a paused response that are left when libcurl goes on.
constexpr size_t kResumeBelow = 64 * 1024;

}  // namespace

Request::Request(NetBinding& guest, int32_t stream)
    : guest_(guest),
      stream_(stream),
      number_(++guest.usage().requests),
      started_(Clock::now()),
      total_deadline_(started_ + milliseconds(guest.policy().limits.total_timeout)) {}

Request::~Request() {
  *alive_ = false;
  if (resolving_ != 0) guest_.resolver().Cancel(resolving_);
  StopTransfer();
  LogEnd();
  FreeLists();
}

void Request::FreeLists() {
  for (curl_slist** list : {&header_list_, &resolve_list_, &connect_to_}) {
    curl_slist_free_all(std::exchange(*list, nullptr));
  }
}

void Request::StopTransfer() {
  if (tunnel_) std::exchange(tunnel_, nullptr)->Close();
  if (easy_ == nullptr) return;
  NoteTransfer();
  if (running_) guest_.curl().Remove(easy_);
  running_ = false;
  upload_paused_ = false;
  body_paused_ = false;
  guest_.curl().Release(std::exchange(easy_, nullptr));
}

void Request::Start(Fields fields, bool has_body) {
  has_upload_ = has_body;
  upload_ended_ = !has_body;
  if (auto failure = Decide(fields)) {
    ++guest_.usage().denied;
    return Fail(std::move(*failure));
  }
  if (auto failure = CheckLimits()) return Fail(std::move(*failure));
  request_fields_ = std::move(fields);
  raw_ = channel::FindField(request_fields_, channel::kRaw) != nullptr;
  if (guest_.shared().log != nullptr && guest_.policy().audit_required) return Record();
  Perform();
}

void Request::Perform() {
  performed_ = Clock::now();
  if (guest_.policy().adapter.kind == policy::AdapterKind::kReplay) {
    if (kind_ != Kind::kHttp) {
      return Fail({channel::kErrReplayMiss,
                   "a recording holds no TCP stream, no WebSocket and no look-up"});
    }
    EnterPhase(Phase::kSend);
    if (upload_ended_) ReplayNow();
    return;
  }
  EnterPhase(Phase::kResolve);
  Resolve();
}

std::optional<std::string> Request::Blocked(const IpAddress& address) const {
  return policy::AddressBlocked(guest_.policy(), rule_, url_, address,
                                guest_.shared().own_addresses.list());
}

void Request::Resolve() {
  if (const auto ip = IpAddress::Parse(url_.host)) return Check({*ip});
  const policy::Adapter& adapter = guest_.policy().adapter;
  if (adapter.kind == policy::AdapterKind::kProxy && adapter.resolve_remote) {
    if (kind_ != Kind::kLookup) return ResolveProxy();
    return Fail({channel::kErrDnsConfiguration,
                 "names are looked up by the proxy (resolve: remote), and by nothing here; connect "
                 "by name"});
  }
  const auto done = [this](const Resolver::Addresses& addresses, std::optional<Failure> failure) {
    resolving_ = 0;
    if (failure) return Fail(std::move(*failure));
    Check(addresses);
  };
  const uint64_t id = guest_.resolver().Resolve(url_.host, done);
  if (id != 0) resolving_ = id;
}

void Request::Check(const std::vector<IpAddress>& addresses) {
  std::string why, first;
  for (const IpAddress& a : addresses) {
    if (auto blocked = Blocked(a)) {
      if (first.empty()) first = a.ToString(), why = *blocked;
    } else {
      addresses_.push_back(a);
    }
  }
  if (addresses_.empty()) {
    ++guest_.usage().denied;
    const std::string change =
        url_.host_is_ip
            ? "--allow-net=" + std::string(url_.scheme == "tcp" ? "tcp://" : "") + url_.HostPort()
            : "addresses: [" + first + "] on its rule in a policy";
    return Fail({channel::kErrAddressBlocked, "the address " + first + " of " + url_.HostPort() +
                                                  " is blocked (" + why + "); " + change +
                                                  " would allow it"});
  }
  if (kind_ == Kind::kLookup) return SendAddresses();
  if (guest_.policy().adapter.kind == policy::AdapterKind::kProxy) return ResolveProxy();
  Connect();
}

// A look-up's answer: one address a line, those that the guest could be connected to.
void Request::SendAddresses() {
  resolved_ = Clock::now();
  status_ = 200;
  response_fields_ = {{"content-type", "text/plain"}};
  if (!EndOfHeaders()) return Fail(*std::exchange(failure_, std::nullopt));
  for (const IpAddress& address : addresses_) body_ += address.ToString() + "\n";
  KeepForRecording(&har::HarEntry::response_body, body_);
  body_total_ = static_cast<int64_t>(body_.size());
  Complete();
}

// The proxy is the policy's own choice: its address is not the guard's business.
void Request::ResolveProxy() {
  const auto proxy = policy::ParseProxyUrl(guest_.policy().adapter.target);
  if (const auto ip = IpAddress::Parse(proxy->host)) {
    proxy_addresses_ = {*ip};
    return Connect();
  }
  const auto done = [this](const Resolver::Addresses& addresses, std::optional<Failure> failure) {
    resolving_ = 0;
    if (failure) {
      failure->details = "the proxy cannot be found: " + failure->details;
      return Fail(std::move(*failure));
    }
    proxy_addresses_ = addresses;
    Connect();
  };
  const uint64_t id = guest_.resolver().Resolve(proxy->host, done);
  if (id != 0) resolving_ = id;
}

void Request::Connect() {
  resolved_ = Clock::now();
  easy_ = guest_.curl().Acquire();
  if (easy_ == nullptr) return Fail({channel::kErrBrokerResources, "the broker is out of memory"});
  SetUp(easy_);
  EnterPhase(Phase::kConnect);
  running_ = true;
  const bool connect_only = kind_ != Kind::kHttp;
  guest_.curl().Add(
      easy_,
      [this, connect_only](CURLcode code) {
        if (connect_only && code == CURLE_OK) return OpenTunnel();
        running_ = false;
        Finished(code);
      },
      connect_only, [this] { OnReadsNoMore(); });
}

void Request::ReplayNow() {
  const std::string* type = channel::FindField(request_fields_, "content-type");
  const auto found =
      guest_.shared().replay->Find(guest_.replay_cursor(), method_, url_.ToString(),
                                   {.type = type == nullptr ? "" : *type, .bytes = upload_});
  if (!found) return Fail({channel::kErrReplayMiss, found.error().message});
  const har::HarEntry& e = **found;
  if (e.failure && e.status == 0) return Fail(*e.failure);
  status_ = e.status;
  reason_ = e.status_text;
  for (const channel::Field& f : e.response_fields) {
    if (f.name == "content-length") {
      response_fields_.push_back({channel::kContentLength, f.value});
    } else if (Forwarded(f.name)) {
      response_fields_.push_back(f);
    }
  }
  if (!EndOfHeaders()) return Fail(*std::exchange(failure_, std::nullopt));
  body_ = e.response_body.bytes;
  KeepForRecording(&har::HarEntry::response_body, body_);
  guest_.usage().bytes_in += body_.size();
  body_total_ = static_cast<int64_t>(body_.size());
  if (e.failure) return FailBehindBody(*e.failure);
  Complete();
}

// ---- the guest's side

void Request::OnUpload(std::span<const uint8_t> data) {
  upload_total_ += static_cast<int64_t>(data.size());
  if (phase_ == Phase::kDone) {
    guest_.channel().session().Consume(stream_, data.size());
    return;
  }
  const int64_t limit = guest_.policy().limits.request_bytes;
  if (kind_ == Kind::kHttp && upload_total_ > limit) {
    return Fail({channel::kErrLimitOfRequest, "the request body is larger than the limit of " +
                                                  std::to_string(limit) +
                                                  " bytes (request_bytes)"});
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data.data()), data.size());
  KeepForRecording(&har::HarEntry::request_body, bytes);
  if (tunnel_ && responded_) {
    upload_unconsumed_ += data.size();
    moved_ = Clock::now();
    return tunnel_->Send(bytes);
  }
  const bool was_empty = upload_.empty();
  if (upload_secrets_) {
    upload_secrets_->Feed(bytes, upload_);
  } else {
    upload_.append(bytes);
  }
  upload_unconsumed_ += data.size();
  if (upload_.empty()) ConsumeUpload();  // all of it is held back
  if (OverTotalBytes()) return Fail(TotalBytesFailure());
  if (guest_.policy().adapter.kind == policy::AdapterKind::kReplay) {
    if (phase_ == Phase::kSend) EnterPhase(Phase::kSend);
    return ConsumeUpload();  // it is kept as a whole
  }
  if (phase_ == Phase::kSend && was_empty) EnterPhase(Phase::kSend);
  UnpauseUpload();
}

void Request::OnUploadEnd() {
  if (std::exchange(upload_ended_, true)) return;
  if (tunnel_ && responded_) return tunnel_->EndSending();
  if (upload_secrets_) upload_secrets_->Flush(upload_);
  if (phase_ == Phase::kSend && guest_.policy().adapter.kind == policy::AdapterKind::kReplay) {
    return ReplayNow();
  }
  UnpauseUpload();
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
      if (failure_) {
        trailers->push_back({"proxy-status", channel::FormatProxyStatus(*failure_)});
      } else {
        TrailersFor(trailers);
      }
    }
  }
  if (n > 0) moved_ = Clock::now();
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
  if (tunnel_) return tunnel_->Pause(false);
  curl_easy_pause(easy_, upload_paused_ ? CURLPAUSE_SEND : CURLPAUSE_CONT);
  if (!guest_.curl().Reads(easy_)) OnReadsNoMore();  // all of it was there already
}

// ---- how it ends

void Request::Finished(CURLcode code) {
  if (addresses_.size() > 1 && !proxy_addresses_.empty() && ProxyCouldNotConnect(easy_, code)) {
    addresses_.erase(addresses_.begin());  // nothing of the request has left
    StopTransfer();
    FreeLists();
    return Connect();
  }
  if (code == CURLE_OUT_OF_MEMORY && !responded_ && phase_ >= Phase::kSend) {
    // What libcurl says of a header line of over 100 kB.
    failure_ = Failure{channel::kErrLimitOfHeaders,
                       "a line of the header section of " + url_.HostPort() +
                           " is larger than the limit of " +
                           std::to_string(guest_.policy().limits.header_bytes) + " (header_bytes)"};
  }
  if (cut_off_ && !failure_) code = CURLE_OK;
  if (upload_dropped_ && code == CURLE_READ_ERROR && !failure_) code = JudgeEarlyAnswer();
  if (code != CURLE_OK && !failure_) {
    const bool proxied = !proxy_addresses_.empty();
    if (proxied && !absolute_form_ && phase_ < Phase::kSend &&
        ProxyBrokeOff(easy_, code, phase_ == Phase::kTls))
      code = CURLE_PROXY;
    const bool of_proxy = (code == CURLE_COULDNT_CONNECT && proxied) || absolute_form_;
    failure_ = CurlFailure(easy_, code, of_proxy ? "the proxy" : url_.HostPort(), error_text_,
                           certificate_names_);
  }
  if (code == CURLE_OK) failure_.reset();
  if (code == CURLE_OK && !responded_) {
    failure_ = Failure{channel::kErrResponseIncomplete, url_.HostPort() + " sent no response"};
  }
  // RFC 9112 section 9.8: else whoever is between could cut a response short.
  if (!failure_ && !cut_off_ && tls_ended_ && !*tls_ended_ && EndsWithItsConnection()) {
    failure_ = Failure{
        channel::kErrResponseIncomplete,
        url_.HostPort() + " ended the connection before TLS: its response may have been cut short"};
  }
  if (!failure_) EndBody();
  if (failure_ && responded_) return FailBehindBody(*std::exchange(failure_, std::nullopt));
  if (failure_) return Fail(*std::exchange(failure_, std::nullopt));
  StopTransfer();
  Complete();
}

// The response is complete here; the guest may still have to read it.
void Request::Complete() {
  phase_ = Phase::kDone;
  LogEnd();
  if (body_.empty()) {
    phase_deadline_ = Clock::time_point::max();
  } else {
    WaitForGuest();  // for what is left
  }
  guest_.channel().session().ResumeBody(stream_);
  guest_.channel().FlushSoon();
}

// The origin's part is over, and not well: the guest gets what came of the body, then the failure.
void Request::FailBehindBody(Failure failure) {
  if (secrets_ != nullptr) failure.details = policy::WithoutSecrets(failure.details, secrets_);
  ++guest_.usage().errors[failure.code];
  failure_ = logged_failure_ = std::move(failure);
  StopTransfer();
  Complete();
}

void Request::Fail(Failure failure) {
  if (secrets_ != nullptr) failure.details = policy::WithoutSecrets(failure.details, secrets_);
  if (phase_ != Phase::kDone) ++guest_.usage().errors[failure.code];
  phase_deadline_ = Clock::time_point::max();
  if (resolving_ != 0) guest_.resolver().Cancel(std::exchange(resolving_, 0));
  StopTransfer();
  phase_ = Phase::kDone;
  if (!logged_failure_) logged_failure_ = failure;
  LogEnd();
  auto& session = guest_.channel().session();
  if (responded_) {
    // It did not read what has arrived, or not in time.
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
