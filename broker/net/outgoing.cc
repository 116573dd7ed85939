#include "broker/net/outgoing.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "broker/upstream/http_fields.h"
#include "broker/upstream/upstream.h"
#include "policy/secrets/placeholder.h"
#include "policy/secrets/representation.h"
#include "policy/trace_context.h"

namespace postern::broker {
namespace {

using channel::Failure;

constexpr std::string_view kUnreserved =
    "-._~";  // RFC 3986 section 2.3, besides letters and digits
// With 4 KiB a secret, below the 128 KiB beyond which libcurl 7.88 sends no head to its end.
constexpr size_t kMaxSecretsInHead = 8, kMaxHeadWithSecrets = 32 * 1024;

// A secret as the body's own syntax spells it.
std::string ForBody(const std::string& value, const std::string* type) {
  const std::string_view kind = type == nullptr ? std::string_view() : *type;
  if (kind.starts_with("application/x-www-form-urlencoded"))
    return PercentEncode(value, kUnreserved);
  if (kind.find("json") == std::string_view::npos) return value;
  std::string out;
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string OutgoingRequest::Url() const {
  std::string query = target.url.query;
  if (rule != nullptr && rule->secret_places.query && !rule->secrets.empty()) {
    auto encoded = policy.secrets;
    for (auto& [name, value] : encoded) value = PercentEncode(value, kUnreserved);
    query = policy::SubstituteSecrets(query, encoded, rule->secrets, false);
  }
  return fmt::format("{}://{}:{}{}{}", target.tls ? "https" : "http", Bracketed(target.url.host),
                     target.url.port, target.url.path, query);
}

bool OutgoingRequest::IsTraced() const {
  return rule != nullptr && rule->trace && !policy.trace.empty();
}

channel::Fields OutgoingRequest::Fields(const std::string& span) const {
  const bool traced = IsTraced();
  const bool with_secrets =
      rule != nullptr && rule->secret_places.headers && !rule->secrets.empty();
  channel::Fields out;
  std::string codings;
  for (const channel::Field& f : fields) {
    if (f.name == "accept-encoding") {
      codings += (codings.empty() ? "" : ", ") + f.value;
      continue;
    }
    if (!Forwarded(f.name)) continue;
    if (secret_host && policy::AsksForAnotherForm(f.name)) continue;
    if (traced && (f.name == "traceparent" || f.name == "tracestate")) continue;
    const bool set = rule != nullptr &&
                     std::any_of(rule->headers.begin(), rule->headers.end(),
                                 [&](const policy::SetHeader& h) { return h.name == f.name; });
    if (set) continue;
    out.push_back({f.name, with_secrets ? policy::SubstituteSecrets(f.value, policy.secrets,
                                                                    rule->secrets, true)
                                        : f.value});
  }
  if (traced && !span.empty())
    out.push_back({"traceparent", policy::ChildTraceParent(policy.trace, span)});
  if (rule != nullptr) {
    for (const policy::SetHeader& h : rule->headers)
      out.push_back({h.name, policy::ExpandSecrets(h.value, policy.secrets)});
  }
  // What is filtered or recorded must not be coded.
  const bool plain = secret_host || recorded;
  if (plain || !codings.empty()) out.push_back({"accept-encoding", plain ? "identity" : codings});
  return out;
}

std::vector<policy::Spelling> OutgoingRequest::BodySecrets() const {
  std::vector<policy::Spelling> spellings;
  if (rule == nullptr || !rule->secret_places.body) return spellings;
  for (const std::string& name : rule->secrets) {
    const auto& value = policy.secrets.at(name);
    spellings.push_back(
        {policy::Placeholder(name), ForBody(value, FindField(fields, "content-type"))});
  }
  return spellings;
}

std::optional<Failure> CheckSecretsInHead(const policy::Url& url, const channel::Fields& fields,
                                          const policy::Rule* rule) {
  size_t placeholders = policy::CountPlaceholders(url.query), bytes = url.ToString().size();
  const policy::SecretPlaces places =
      rule == nullptr ? policy::SecretPlaces{} : rule->secret_places;
  bool named = places.query && policy::NamesHoldPlaceholder(url.query, "&;");
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
  if (placeholders == 0 || (placeholders <= kMaxSecretsInHead && bytes <= kMaxHeadWithSecrets))
    return std::nullopt;
  return Failure{channel::kErrLimitOfRequest,
                 fmt::format("a request whose URL and header fields hold secrets has at most {} of "
                             "them, and {} bytes of both",
                             kMaxSecretsInHead, kMaxHeadWithSecrets)};
}

}  // namespace postern::broker
