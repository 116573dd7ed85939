#include "broker/net/request.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstring>
#include <iterator>

#include "base/format.h"
#include "base/text.h"
#include "broker/net/net_binding.h"
#include "broker/upstream/http_fields.h"
#include "channel/postern_fields.h"
#include "policy/address_guard.h"

namespace postern::broker {
namespace {

using channel::Failure;
using channel::Fields;

// Bytes of a paused response that are left when libcurl goes on.
constexpr size_t kResumeBelow = 64 * 1024;

}  // namespace

Request::Request(NetBinding& guest, int32_t stream)
    : guest_(guest),
      stream_(stream),
      number_(++guest.usage().requests),
      deadlines_(guest.policy().limits, Clock::now()),
      record_(guest, {.events = guest.WantsEvents(),
                      .har = guest.shared().record,
                      .redact_query = guest.policy().audit_redact_query,
                      .run = guest.WantsEvents() ? guest.run() : "",
                      .number = number_}) {}

Request::~Request() {
  owner_.Leave();
  if (resolving_ != 0) guest_.resolver().Cancel(resolving_);
  StopTransfer();
  LogEnd();
}

void Request::StopTransfer() {
  if (tunnel_) std::exchange(tunnel_, nullptr)->Close();
  if (!exchange_) return;
  NoteTransfer();
  body_paused_ = false;
  exchange_.reset();
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
  const std::string* expect = channel::FindField(request_fields_, "expect");
  expects_ =
      raw_ && has_upload_ && expect != nullptr && EqualsIgnoringCase(*expect, "100-continue");
  if (guest_.shared().log != nullptr && guest_.policy().audit_required) return Record();
  Perform();
}

void Request::Perform() {
  record_.Performing();
  head_.emplace(ResponseReader::Options{.host_port = target_.url.HostPort(),
                                        .limits = guest_.policy().limits,
                                        .secrets = secrets_,
                                        .raw = raw_});
  if (guest_.policy().adapter.kind == policy::AdapterKind::kReplay) {
    if (target_.kind != RequestKind::kHttp) {
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
  return policy::AddressBlocked(guest_.policy(), rule_, target_.url, address,
                                guest_.shared().own_addresses.list());
}

void Request::Resolve() {
  if (const auto ip = IpAddress::Parse(target_.url.host)) return Check({*ip});
  const policy::Adapter& adapter = guest_.policy().adapter;
  if (adapter.kind == policy::AdapterKind::kProxy && adapter.resolve_remote) {
    if (target_.kind != RequestKind::kLookup) return ResolveProxy();
    return Fail({channel::kErrDnsConfiguration,
                 "names are looked up by the proxy (resolve: remote), and by nothing here; connect "
                 "by name"});
  }
  const auto done = [this](const Resolver::Addresses& addresses, std::optional<Failure> failure) {
    resolving_ = 0;
    if (failure) return Fail(std::move(*failure));
    Check(addresses);
  };
  const uint64_t id = guest_.resolver().Resolve(target_.url.host, done);
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
        target_.url.host_is_ip
            ? fmt::format("--allow-net={}{}", target_.url.scheme == "tcp" ? "tcp://" : "",
                          target_.url.HostPort())
            : fmt::format("addresses: [{}] on its rule in a policy", first);
    return Fail({channel::kErrAddressBlocked,
                 fmt::format("the address {} of {} is blocked ({}); {} would allow it", first,
                             target_.url.HostPort(), why, change)});
  }
  if (target_.kind == RequestKind::kLookup) return SendAddresses();
  if (guest_.policy().adapter.kind == policy::AdapterKind::kProxy) return ResolveProxy();
  Connect();
}

// A look-up's answer: one address a line, those that the guest could be connected to.
void Request::SendAddresses() {
  record_.Resolved();
  head_->Set(200, "", {{"content-type", "text/plain"}});
  if (!EndOfHeaders()) return Fail(*std::exchange(failure_, std::nullopt));
  for (const IpAddress& address : addresses_)
    fmt::format_to(std::back_inserter(body_), "{}\n", address.ToString());
  record_.KeepResponseBody(body_);
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
      failure->details = fmt::format("the proxy cannot be found: {}", failure->details);
      return Fail(std::move(*failure));
    }
    proxy_addresses_ = addresses;
    Connect();
  };
  const uint64_t id = guest_.resolver().Resolve(proxy->host, done);
  if (id != 0) resolving_ = id;
}

void Request::Connect() {
  if (target_.kind == RequestKind::kHttp && has_upload_) PutSecretsInUpload();
  exchange_ = guest_.upstream().Start(ForUpstream(), *this);
  if (!exchange_) Fail({channel::kErrBrokerResources, "the broker is out of memory"});
}

void Request::ReplayNow() {
  const std::string* type = channel::FindField(request_fields_, "content-type");
  const auto found =
      guest_.shared().replay->Find(guest_.replay_cursor(), target_.method, target_.url.ToString(),
                                   {.type = type == nullptr ? "" : *type, .bytes = upload_});
  if (!found) return Fail({channel::kErrReplayMiss, found.error().message});
  const har::HarEntry& e = **found;
  if (e.failure && e.status == 0) return Fail(*e.failure);
  Fields fields;
  for (const channel::Field& f : e.response_fields) {
    if (f.name == "content-length") {
      fields.push_back({channel::kContentLength, f.value});
    } else if (Forwarded(f.name)) {
      fields.push_back(f);
    }
  }
  head_->Set(e.status, e.status_text, std::move(fields));
  if (!EndOfHeaders()) return Fail(*std::exchange(failure_, std::nullopt));
  body_ = e.response_body.bytes;
  record_.KeepResponseBody(body_);
  guest_.usage().bytes_in += body_.size();
  body_total_ = static_cast<int64_t>(body_.size());
  if (e.failure) return FailBehindBody(*e.failure);
  Complete();
}

// ---- the guest's side

void Request::OnUpload(std::span<const uint8_t> data) {
  upload_total_ += static_cast<int64_t>(data.size());
  if (deadlines_.phase() == Phase::kDone) {
    guest_.channel().session().Consume(stream_, data.size());
    return;
  }
  const int64_t limit = guest_.policy().limits.request_bytes;
  if (target_.kind == RequestKind::kHttp && upload_total_ > limit) {
    return Fail(
        {channel::kErrLimitOfRequest,
         fmt::format("the request body is larger than the limit of {} bytes (request_bytes)",
                     limit)});
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data.data()), data.size());
  record_.KeepRequestBody(bytes);
  if (tunnel_ && responded_) {
    upload_unconsumed_ += data.size();
    deadlines_.Moved(Clock::now());
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
    if (deadlines_.phase() == Phase::kSend) EnterPhase(Phase::kSend);
    return ConsumeUpload();  // it is kept as a whole
  }
  if (deadlines_.phase() == Phase::kSend && was_empty) EnterPhase(Phase::kSend);
  if (exchange_) exchange_->ResumeUpload();
}

void Request::OnUploadEnd() {
  if (std::exchange(upload_ended_, true)) return;
  if (tunnel_ && responded_) return tunnel_->EndSending();
  if (upload_secrets_) upload_secrets_->Flush(upload_);
  if (deadlines_.phase() == Phase::kSend &&
      guest_.policy().adapter.kind == policy::AdapterKind::kReplay) {
    return ReplayNow();
  }
  if (exchange_) exchange_->ResumeUpload();
}

size_t Request::ReadBody(std::span<uint8_t> out, bool* end, Fields* trailers) {
  const size_t n = std::min(out.size(), body_.size() - body_at_);
  std::memcpy(out.data(), body_.data() + body_at_, n);
  body_at_ += n;
  if (body_at_ == body_.size()) {
    body_.clear();
    body_at_ = 0;
    if (deadlines_.phase() == Phase::kDone) {
      deadlines_.Stop();
      *end = true;
      if (failure_) {
        trailers->push_back({"proxy-status", channel::FormatProxyStatus(*failure_)});
      } else {
        *trailers = head_->TrailersForGuest();
      }
    }
  }
  if (n > 0) deadlines_.Moved(Clock::now());
  if (n > 0 && body_at_ < body_.size()) WaitForGuest();  // it does read: its clock begins anew
  if (n > 0 && body_.empty() && deadlines_.phase() == Phase::kBody) {
    deadlines_.WaitForOrigin(Clock::now());
    guest_.WakeAt(deadlines_.next());
  }
  if (body_paused_ && body_.size() - body_at_ < kResumeBelow) {
    // Not here: this is called while the session writes.
    boost::asio::post(guest_.shared().io, owner_.WhileHere([this] { ResumeIfDrained(); }));
  }
  return n;
}

void Request::ResumeIfDrained() {
  if (!exchange_ || !std::exchange(body_paused_, false)) return;
  if (tunnel_) return tunnel_->Pause(false);
  exchange_->ResumeBody();
}

// ---- clocks

void Request::EnterPhase(Phase phase) {
  deadlines_.Enter(phase, Clock::now());
  guest_.WakeAt(deadlines_.next());
}

void Request::WaitForGuest() {
  deadlines_.WaitForGuest(Clock::now());
  guest_.WakeAt(deadlines_.next());
}

// Whether it is the guest that has to go on. A replay keeps what came until all is there.
bool Request::WaitsForUpload() const {
  return !upload_ended_ &&
         (upload_.empty() || guest_.policy().adapter.kind == policy::AdapterKind::kReplay);
}

Request::Clock::time_point Request::CheckDeadline(Clock::time_point now) {
  if (const auto late = deadlines_.Check(now, WaitsForUpload())) {
    Fail(LateFailure(*late,
                     {.host = target_.url.host,
                      .host_port = target_.url.HostPort(),
                      .phase = deadlines_.phase(),
                      .responded = responded_,
                      .waits_for_guest = deadlines_.waits_for_guest(),
                      .upload_waits = WaitsForUpload()},
                     guest_.policy().limits));
  }
  return deadlines_.next();
}

// ---- events

// While the exchange is there.
void Request::NoteTransfer() {
  if (!guest_.WantsEvents()) return;
  const UpstreamTimes times = exchange_->Times();
  record_.SetTransferTimes(times.connected, times.secured, times.first_byte);
}

void Request::LogEnd() {
  static const Fields kNone;
  record_.WriteEnd(target_, {.status = head_ ? head_->status() : 0,
                             .reason = head_ ? head_->reason() : "",
                             .http_version = head_ ? head_->http_version() : "",
                             .responded = responded_,
                             .over = deadlines_.phase() == Phase::kDone,
                             .bytes_in = body_total_,
                             .request_fields = request_fields_,
                             .response_fields = head_ ? head_->fields() : kNone});
}

// ---- how it ends

void Request::OnEnded(std::optional<Failure> failure) {
  if (failure_) failure = std::exchange(failure_, std::nullopt);  // why something was refused
  if (!failure && !EndBody()) failure = std::exchange(failure_, std::nullopt);
  if (failure && responded_) return FailBehindBody(*std::move(failure));
  if (failure) return Fail(*std::move(failure));
  StopTransfer();
  Complete();
}

// The response is complete here; the guest may still have to read it.
void Request::Complete() {
  deadlines_.Enter(Phase::kDone, Clock::now());
  LogEnd();
  if (body_.empty()) {
    deadlines_.Stop();
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
  record_.SetFailure(failure);
  failure_ = std::move(failure);
  StopTransfer();
  Complete();
}

void Request::Fail(Failure failure) {
  if (secrets_ != nullptr) failure.details = policy::WithoutSecrets(failure.details, secrets_);
  if (deadlines_.phase() != Phase::kDone) ++guest_.usage().errors[failure.code];
  deadlines_.Stop();
  if (resolving_ != 0) guest_.resolver().Cancel(std::exchange(resolving_, 0));
  StopTransfer();
  deadlines_.Enter(Phase::kDone, Clock::now());
  record_.SetFailure(failure);
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
