// Request's decision: what it is for, whether it may be made, and that it is on record.
#include <cstdint>

#include "base/text.h"
#include "broker/net/net_binding.h"
#include "broker/net/request.h"
#include "broker/upstream/http_fields.h"
#include "channel/postern_fields.h"
#include "policy/secrets/placeholder.h"

namespace postern::broker {
namespace {

using channel::Failure;
using channel::Fields;
using channel::FindField;

// With 4 KiB a secret, below the 128 KiB beyond which libcurl 7.88 sends no head to its end.
constexpr size_t kMaxSecretsInHead = 8, kMaxHeadWithSecrets = 32 * 1024;

Failure Denied(std::string why) { return {channel::kErrNetworkDenied, std::move(why)}; }

}  // namespace

// What the request is for, read from its parts alone.
std::optional<Failure> Request::ReadTarget(const Fields& fields) {
  const std::string* method = FindField(fields, ":method");
  const std::string* scheme = FindField(fields, ":scheme");
  const std::string* authority = FindField(fields, ":authority");
  const std::string* path = FindField(fields, ":path");
  if (method != nullptr) method_ = *method;
  if (method_ == "CONNECT") return ReadConnectTarget(fields);
  if (scheme != nullptr && *scheme == "dns" && authority != nullptr) {
    kind_ = Kind::kLookup;
    method_ = "LOOKUP";
    return ParseUrl("dns://" + *authority);
  }
  if (method_.empty() || method_ == "TRACE" || method_ == "TRACK") {
    return Denied("the method is not allowed");
  }
  if (scheme == nullptr || authority == nullptr || path == nullptr ||
      (*scheme != "http" && *scheme != "https")) {
    return Denied("a request needs an http or https URL");
  }
  tls_ = *scheme == "https";
  return ParseUrl(*scheme + "://" + *authority + *path);
}

std::optional<Failure> Request::ParseUrl(const std::string& text) {
  auto url = policy::ParseUrl(text);
  if (!url) return Denied(url.error().message);
  if (url->has_credentials) {
    return Denied(std::string("a URL with user info is refused") +
                  (kind_ == Kind::kHttp ? "; send an Authorization header" : ""));
  }
  url_ = *std::move(url);
  return std::nullopt;
}

std::optional<Failure> Request::ReadConnectTarget(const Fields& fields) {
  const std::string* protocol = FindField(fields, ":protocol");
  const std::string* authority = FindField(fields, ":authority");
  if (authority == nullptr) return Denied("CONNECT needs a host and a port");
  std::string text = "tcp://" + *authority;
  kind_ = Kind::kTcp;
  if (protocol != nullptr) {
    const std::string* scheme = FindField(fields, ":scheme");
    const std::string* path = FindField(fields, ":path");
    const bool known = *protocol == "websocket" && scheme != nullptr && path != nullptr &&
                       (*scheme == "http" || *scheme == "https");
    if (!known) return Denied("CONNECT is for TCP streams and WebSockets");
    kind_ = Kind::kWebSocket;
    method_ = "GET";
    tls_ = *scheme == "https";
    text = (tls_ ? "wss://" : "ws://") + *authority + *path;
  } else {
    const std::string* tls = FindField(fields, channel::kTls);
    tls_ = tls != nullptr && *tls == "on";
  }
  return ParseUrl(text);
}

std::optional<Failure> Request::Decide(const Fields& fields) {
  const policy::Policy& policy = guest_.policy();
  if (auto failure = ReadTarget(fields)) {
    LogDecision({false, nullptr, failure->details, {}}, "deny");
    return failure;
  }
  Overrides overrides = OverridesIn(fields);
  const policy::Decision decision = guest_.decider().Decide(
      {url_, method_, std::move(overrides.methods), std::move(overrides.paths)});
  const bool reported = !decision.allow && policy.report && policy.permission;
  LogDecision(decision, decision.allow ? "allow" : reported ? "report" : "deny");
  if (!decision.allow && !reported) {
    Failure denied = Denied(decision.Sentence());
    if (decision.http_only) denied.code = channel::kErrStreamDenied.code;
    return denied;
  }
  if (decision.allow) rule_ = decision.rule;
  secrets_ = guest_.SecretsOf(url_.host);
  if (secrets_ != nullptr && (kind_ == Kind::kTcp || kind_ == Kind::kWebSocket)) {
    return Failure{channel::kErrSecretStream,
                   "secrets go to " + url_.host +
                       ", and a stream or WebSocket from there cannot be filtered; use fetch() "
                       "there, or name another host in the secret's rule"};
  }
  if (secrets_ != nullptr) {
    if (auto failure = CheckSecretsInHead(fields)) return failure;
  }
  if (policy.adapter.kind == policy::AdapterKind::kNone) {
    return Failure{channel::kErrNoNetworkAdapter, std::string(channel::kNoAdapter)};
  }
  return std::nullopt;
}

// A head with secrets is larger than the one that the guest made. How large it may be must not tell
// how long they are: so it is what the guest made that has bounds, far below what libcurl sends.
std::optional<Failure> Request::CheckSecretsInHead(const Fields& fields) const {
  size_t placeholders = policy::CountPlaceholders(url_.query), bytes = url_.ToString().size();
  const policy::SecretPlaces places =
      rule_ == nullptr ? policy::SecretPlaces{} : rule_->secret_places;
  bool named = places.query && policy::NamesHoldPlaceholder(url_.query, "&;");
  for (const channel::Field& f : fields) {
    placeholders += policy::CountPlaceholders(f.value);
    if (places.headers && EqualsIgnoringCase(f.name, "cookie"))
      named = named || policy::NamesHoldPlaceholder(f.value, ";,");
    bytes += f.name.size() + f.value.size();
  }
  // Origins sort by names, and merge what has the same: that would tell a value by its order.
  if (named) {
    return Failure{channel::kErrSecretName,
                   "a secret is the value of a cookie or of a query's parameter, and never its "
                   "name: write name=SECRET"};
  }
  if (placeholders == 0 || (placeholders <= kMaxSecretsInHead && bytes <= kMaxHeadWithSecrets)) {
    return std::nullopt;
  }
  return Failure{channel::kErrLimitOfRequest,
                 "a request whose URL and header fields hold secrets has at most " +
                     std::to_string(kMaxSecretsInHead) + " of them, and " +
                     std::to_string(kMaxHeadWithSecrets) + " bytes of both"};
}

bool Request::OverTotalBytes() const {
  const NetUsage& u = guest_.usage();
  return u.bytes_in + u.bytes_out > static_cast<uint64_t>(guest_.policy().limits.total_bytes);
}

Failure Request::TotalBytesFailure() const {
  return {channel::kErrLimitOfConnections, "this run has moved more than its limit of " +
                                               std::to_string(guest_.policy().limits.total_bytes) +
                                               " bytes (total_bytes)"};
}

std::optional<Failure> Request::CheckLimits() {
  const policy::NetworkLimits& l = guest_.policy().limits;
  if (number_ > static_cast<uint64_t>(l.requests)) {
    return Failure{
        channel::kErrLimitOfConnections,
        "this guest has used up its " + std::to_string(l.requests) + " requests (requests)"};
  }
  if (OverTotalBytes()) return TotalBytesFailure();
  if (const auto wait = guest_.TakeToken()) {
    return Failure{channel::kErrRateLimit,
                   "this guest makes more requests than its rate allows (rate); the next one may "
                   "be made in " +
                       std::to_string(*wait) + " ms"};
  }
  return std::nullopt;
}

// With `audit: {required: true}` nothing leaves before its decision is in the file.
void Request::Record() {
  EnterPhase(Phase::kRecord);
  guest_.shared().log->WhenRecorded([this, alive = alive_](const std::string& error) {
    if (!*alive || phase_ != Phase::kRecord) return;
    if (error.empty()) return Perform();
    Fail(
        {channel::kErrAudit, "the request cannot be recorded (audit: {required: true}): " + error});
  });
}

}  // namespace postern::broker
