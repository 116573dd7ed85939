// Request's side towards its upstream: what it asks for, and what it answers it.
#include <openssl/rand.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "base/format.h"
#include "base/text.h"
#include "broker/net/net_binding.h"
#include "broker/net/request.h"
#include "broker/upstream/http_fields.h"
#include "channel/postern_fields.h"

namespace postern::broker {

// ---- what is asked for

OutgoingRequest Request::Outgoing() const {
  return {.target = target_,
          .fields = request_fields_,
          .policy = guest_.policy(),
          .rule = rule_,
          .secret_host = secrets_ != nullptr,
          .recorded = guest_.shared().record};
}

channel::Fields Request::OutgoingFields() const {
  const OutgoingRequest outgoing = Outgoing();
  std::string span(outgoing.IsTraced() ? 8 : 0, '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(span.data());
  if (RAND_bytes(bytes, static_cast<int>(span.size())) != 1) span.clear();
  return outgoing.Fields(span);
}

UpstreamRequest Request::ForUpstream() const {
  using Kind = UpstreamRequest::Kind;
  const policy::Policy& policy = guest_.policy();
  const policy::Url& url = target_.url;
  UpstreamRequest r{.kind = target_.kind == RequestKind::kHttp  ? Kind::kHttp
                            : target_.kind == RequestKind::kTcp ? Kind::kTcp
                                                                : Kind::kWebSocket,
                    .method = target_.method,
                    .url = Outgoing().Url(),
                    .host = url.host,
                    .port = url.port,
                    .host_is_ip = url.host_is_ip,
                    .tls = target_.tls,
                    .addresses = addresses_,
                    .rule_tls = rule_ == nullptr ? nullptr : &rule_->tls,
                    .has_body = has_upload_,
                    .filtered = secrets_ != nullptr,
                    .header_bytes = policy.limits.header_bytes,
                    .total_timeout_ms = policy.limits.total_timeout};
  if (policy.adapter.kind == policy::AdapterKind::kProxy)
    r.proxy = {*policy::ParseProxyUrl(policy.adapter.target), proxy_addresses_};
  if (r.kind != Kind::kHttp) return r;
  r.fields = OutgoingFields();
  const Spellings spellings(FindField(request_fields_, channel::kNames));
  for (channel::Field& f : r.fields) f.name = spellings.Of(f.name);
  r.expects_continue = expects_;
  const std::string* length = FindField(request_fields_, "content-length");
  if (length != nullptr && !upload_secrets_) {  // else it is another one
    int64_t size = -1;
    std::from_chars(length->data(), length->data() + length->size(), size);
    if (size >= 0) r.body_size = size;
  }
  return r;
}

// Where a rule says so, placeholders in the body become secrets; what came already as well.
void Request::PutSecretsInUpload() {
  std::vector<policy::Spelling> placeholders = Outgoing().BodySecrets();
  if (placeholders.empty()) return;
  upload_secrets_.emplace(std::move(placeholders));
  const std::string came = std::exchange(upload_, {});
  upload_secrets_->Feed(came, upload_);
  if (upload_ended_) upload_secrets_->Flush(upload_);
}

// ---- how it goes

void Request::OnConnecting() {
  record_.Resolved();
  EnterPhase(Phase::kConnect);
}

void Request::OnConnected(const UpstreamPeer& peer) {
  head_->set_from_proxy(peer.proxy_answers);
  // Through a proxy it is the origin that was checked, where one was.
  if (raw_ && proxy_addresses_.empty()) peer_ = fmt::format(" {} {}", peer.address, peer.port);
  if (raw_ && peer.origin) peer_ = fmt::format(" {} {}", peer.origin->ToString(), target_.url.port);
  if (guest_.WantsEvents())
    record_.SetPeer(fmt::format("{}:{}", Bracketed(peer.address), peer.port), peer.tls_version);
  const bool sends = target_.kind == RequestKind::kHttp && has_upload_ && !upload_ended_;
  EnterPhase(sends ? Phase::kSend : Phase::kHeaders);
}

ResponseShape Request::Shape() const {
  return {.begun = responded_,
          .content_length = head_->content_length(),
          .ends_with_connection = head_->EndsWithItsConnection(target_.method)};
}

// ---- the body on its way out

size_t Request::ReadUpload(std::span<char> out, bool* end) {
  const size_t n = std::min(out.size(), upload_.size() - upload_at_);
  if (n == 0) {
    *end = upload_ended_;
    if (upload_ended_ && deadlines_.phase() == Phase::kSend) EnterPhase(Phase::kHeaders);
    return 0;
  }
  std::copy_n(upload_.data() + upload_at_, n, out.data());
  upload_at_ += n;
  if (!upload_secrets_) CountSent(n);
  const size_t consumed = upload_secrets_ ? 0 : std::min(n, upload_unconsumed_);
  upload_unconsumed_ -= consumed;
  guest_.channel().session().Consume(stream_, consumed);
  if (upload_at_ == upload_.size()) {
    upload_.clear();
    upload_at_ = 0;
    ConsumeUpload();
  }
  if (deadlines_.phase() == Phase::kSend) EnterPhase(Phase::kSend);
  guest_.channel().FlushSoon();
  return n;
}

// Gives the guest its window back. What it sent counts, not what secrets made of it: a limit must
// not tell how long they are.
void Request::ConsumeUpload() {
  const size_t n = std::exchange(upload_unconsumed_, 0);
  if (upload_secrets_) CountSent(n);
  guest_.channel().session().Consume(stream_, n);
}

void Request::CountSent(size_t bytes) {
  record_.CountSent(bytes);
  guest_.usage().bytes_out += bytes;
}

}  // namespace postern::broker
