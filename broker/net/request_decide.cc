// Request's decision: what it is for, whether it may be made, and that it is on record.
#include <cstdint>

#include "base/format.h"
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

Failure Denied(std::string why) { return {channel::kErrNetworkDenied, std::move(why)}; }

}  // namespace

std::optional<Failure> Request::Decide(const Fields& fields) {
  const policy::Policy& policy = guest_.policy();
  if (const auto why = ReadRequestTarget(fields, target_)) {
    record_.WriteDecision(target_, {false, nullptr, *why, {}}, "deny");
    return Denied(*why);
  }
  Overrides overrides = OverridesIn(fields);
  const policy::Decision decision = guest_.decider().Decide(
      {target_.url, target_.method, std::move(overrides.methods), std::move(overrides.paths)});
  const bool reported = !decision.allow && policy.report && policy.permission;
  record_.WriteDecision(target_, decision, decision.allow ? "allow" : reported ? "report" : "deny");
  if (!decision.allow && !reported) {
    Failure denied = Denied(decision.Sentence());
    if (decision.http_only) denied.code = channel::kErrStreamDenied.code;
    return denied;
  }
  if (decision.allow) rule_ = decision.rule;
  secrets_ = guest_.SecretsOf(target_.url.host);
  if (secrets_ != nullptr &&
      (target_.kind == RequestKind::kTcp || target_.kind == RequestKind::kWebSocket)) {
    return Failure{
        channel::kErrSecretStream,
        fmt::format("secrets go to {}, and a stream or WebSocket from there cannot be filtered; "
                    "use fetch() there, or name another host in the secret's rule",
                    target_.url.host)};
  }
  if (secrets_ != nullptr) {
    if (auto failure = CheckSecretsInHead(target_.url, fields, rule_)) return failure;
  }
  if (policy.adapter.kind == policy::AdapterKind::kNone) {
    return Failure{channel::kErrNoNetworkAdapter, std::string(channel::kNoAdapter)};
  }
  return std::nullopt;
}

bool Request::OverTotalBytes() const {
  const NetUsage& u = guest_.usage();
  return u.bytes_in + u.bytes_out > static_cast<uint64_t>(guest_.policy().limits.total_bytes);
}

Failure Request::TotalBytesFailure() const {
  return {channel::kErrLimitOfConnections,
          fmt::format("this run has moved more than its limit of {} bytes (total_bytes)",
                      guest_.policy().limits.total_bytes)};
}

std::optional<Failure> Request::CheckLimits() {
  const policy::NetworkLimits& l = guest_.policy().limits;
  if (number_ > static_cast<uint64_t>(l.requests)) {
    return Failure{channel::kErrLimitOfConnections,
                   fmt::format("this guest has used up its {} requests (requests)", l.requests)};
  }
  if (OverTotalBytes()) return TotalBytesFailure();
  if (const auto wait = guest_.TakeToken()) {
    return Failure{channel::kErrRateLimit,
                   fmt::format("this guest makes more requests than its rate allows (rate); the "
                               "next one may be made in {} ms",
                               *wait)};
  }
  return std::nullopt;
}

// With `audit: {required: true}` nothing leaves before its decision is in the file.
void Request::Record() {
  EnterPhase(Phase::kRecord);
  guest_.shared().log->WhenRecorded(owner_.WhileHere([this](const std::string& error) {
    if (deadlines_.phase() != Phase::kRecord) return;
    if (error.empty()) return Perform();
    Fail({channel::kErrAudit,
          fmt::format("the request cannot be recorded (audit: {{required: true}}): {}", error)});
  }));
}

}  // namespace postern::broker
