#include "policy/policy.h"

#include <algorithm>
#include <set>

#include "base/format.h"
#include "base/text.h"

namespace postern::policy {
namespace {

constexpr std::string_view kSecret = "${secret:";

// What the broker decides itself, or what belongs to one connection (RFC 9110 section 7.6.1).
const std::set<std::string_view> kUnsettable = {
    "connection",     "content-length",      "expect",       "host",
    "keep-alive",     "proxy-authorization", "proxy-status", "te",
    "trailer",        "transfer-encoding",   "upgrade",      "range",
    "accept-encoding"};

}  // namespace

std::vector<std::string> Rule::SecretNames() const {
  std::vector<std::string> names = secrets;
  for (const SetHeader& h : headers) {
    const auto in = SecretsIn(h.value);
    if (in) names.insert(names.end(), in->begin(), in->end());
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<std::vector<std::string>> SecretsIn(std::string_view text) {
  std::vector<std::string> names;
  for (size_t at = 0; (at = text.find("${", at)) != std::string_view::npos;) {
    const size_t end = text.find('}', at);
    if (!text.substr(at).starts_with(kSecret) || end == std::string_view::npos ||
        end == at + kSecret.size()) {
      return Error{"\"${\" begins ${secret:NAME}, and nothing else"};
    }
    names.emplace_back(text.substr(at + kSecret.size(), end - at - kSecret.size()));
    at = end;
  }
  return names;
}

Status CheckRule(const Rule& r) {
  const Target& t = r.target;
  const bool allow_only = r.addresses.empty() && r.headers.empty() && !r.trace &&
                          r.secrets.empty() && r.tls.pins.empty() && r.tls.certificate_file.empty();
  if (!r.allow && !allow_only) {
    return Error{"addresses, headers, trace, secrets and tls belong to an allow rule"};
  }
  if (t.scheme == "tcp" &&
      (!r.methods.empty() || !r.headers.empty() || r.trace || !r.secrets.empty())) {
    return Error{
        "a tcp rule has no methods, headers, trace or secrets: a stream of bytes has none"};
  }
  if (t.scheme == "tcp" && !r.paths.empty()) return Error{"a tcp rule has no paths"};
  for (const SetHeader& h : r.headers) {
    if (!IsToken(h.name)) return Error{fmt::format("\"{}\" is no name of a header field", h.name)};
    if (kUnsettable.contains(h.name) || h.name.starts_with("postern-")) {
      return Error{fmt::format("the header field \"{}\" is not a rule's to set", h.name)};
    }
    if (!IsFieldValue(h.value)) {
      return Error{fmt::format("the value of \"{}\" is none that a header field can have", h.name)};
    }
    if (const auto names = SecretsIn(h.value); !names) return names.error();
  }
  const bool tls =
      t.scheme.empty() || t.scheme == "https" || t.scheme == "wss" || t.scheme == "tcp";
  if (!tls && (!r.tls.pins.empty() || !r.tls.certificate_file.empty())) {
    return Error{fmt::format("tls is for https, wss and tcp; this rule is for {}", t.scheme)};
  }
  if (r.tls.certificate_file.empty() != r.tls.key_file.empty()) {
    return Error{"a client certificate needs both certificate and key"};
  }
  if (r.SecretNames().empty()) return Ok{};
  if (t.scheme != "https" || (t.kind != Target::Kind::kHost && t.kind != Target::Kind::kAddress)) {
    return Error{
        "a rule with a secret needs https:// and an exact host, or the secret could go anywhere"};
  }
  return Ok{};
}

std::optional<std::vector<uint16_t>> ConnectPorts(const Policy& policy) {
  const AdapterKind adapter = policy.adapter.kind;
  if (adapter == AdapterKind::kNone || adapter == AdapterKind::kReplay) {
    return std::vector<uint16_t>{};
  }
  std::vector<uint16_t> ports = {53};
  for (const std::string& server : policy.dns.servers) {
    const auto [host, port] = SplitPort(server);
    const Result<uint16_t> number = ParsePort(port);
    if (number) ports.push_back(*number);
  }
  if (adapter == AdapterKind::kProxy) {
    const auto proxy = ParseProxyUrl(policy.adapter.target);
    if (proxy) ports.push_back(proxy->port);
    return ports;
  }
  if (policy.report) return std::nullopt;
  for (const Rule& rule : policy.rules) {
    if (!rule.allow) continue;
    if (rule.target.port == 0) return std::nullopt;
    ports.push_back(rule.target.port);
  }
  return ports;
}

}  // namespace postern::policy
