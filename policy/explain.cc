#include "policy/explain.h"

#include <algorithm>
#include <cctype>

#include "base/format.h"
#include "base/text.h"
#include "policy/address_guard.h"
#include "policy/decision.h"

namespace postern::policy {
namespace {

std::string Joined(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& item : list) out += (out.empty() ? "" : ", ") + item;
  return out;
}

std::string AdapterText(const Policy& policy) {
  const Adapter& a = policy.adapter;
  switch (a.kind) {
    case AdapterKind::kNone:
      return "none: the request ends with ERR_NO_NETWORK_ADAPTER";
    case AdapterKind::kDirect:
      return "direct";
    case AdapterKind::kReplay:
      return fmt::format("replay of {}", a.target);
    case AdapterKind::kProxy:
      break;
  }
  const auto proxy = ParseProxyUrl(a.target);
  return fmt::format(
      "proxy {}{}",
      proxy ? fmt::format("{}://{}:{}", proxy->scheme, proxy->host, proxy->port) : a.target,
      a.resolve_remote ? ", which looks names up: without the address guard" : "");
}

std::string AddressText(const Policy& policy, const Rule* rule, const Url& url) {
  if (IpAddress::Parse(url.host))
    return fmt::format("{}, unless it is one of the host's own that the rule does not name",
                       url.host);
  if (IsLocalhost(url.host) && rule != nullptr && IsLocalhost(rule->target.host)) {
    return "loopback ones";
  }
  std::vector<std::string> opened;
  for (const Cidr& c : rule == nullptr ? std::vector<Cidr>{} : rule->addresses) {
    opened.push_back(c.ToString());
  }
  return fmt::format("public ones{}, as looked up when the request is made",
                     opened.empty() ? "" : fmt::format(", and those in {}", Joined(opened)));
}

// What is asked about.
Result<Url> ReadRequest(std::string_view method, std::string_view text) {
  if (!IsToken(method)) {
    return Error{fmt::format("\"{}\" is no HTTP method{}", method,
                             ParseUrl(method) ? "; the method comes before the URL" : "")};
  }
  std::string upper(method);
  std::transform(upper.begin(), upper.end(), upper.begin(), ::toupper);
  if (method != upper)
    return Error{fmt::format("methods are upper case: write {} for {}", upper, method)};
  auto url = ParseUrl(text);
  if (!url && text.starts_with('/'))
    return Error{fmt::format("{}; write https://HOST{}", url.error().message, text)};
  const std::string scheme = method == "LOOKUP"    ? "dns://"
                             : method == "CONNECT" ? "tcp://"
                                                   : "https://";
  if (!url && text.find("://") == text.npos && ParseUrl(scheme + std::string(text)))
    return Error{fmt::format("{}; write {}{}", url.error().message, scheme, text)};
  if (!url) return url.error();
  if (url->has_credentials)
    return Error{"a URL with user info is refused; send an Authorization header"};
  return *std::move(url);
}

// An address that is written out is judged now; one of a name when it is looked up.
std::optional<std::string> BlockedNow(const Policy& policy, const Decision& decision,
                                      const Url& url) {
  const auto ip = IpAddress::Parse(url.host);
  if (!decision.allow || !ip || policy.adapter.kind == AdapterKind::kReplay) return std::nullopt;
  return AddressBlocked(policy, decision.rule, url, *ip, {});
}

// A stream from where secrets go could not be filtered.
bool IsUnfiltered(const Policy& policy, const Url& url) {
  const bool stream = url.scheme == "ws" || url.scheme == "wss" || url.scheme == "tcp";
  return stream && std::any_of(policy.rules.begin(), policy.rules.end(), [&](const Rule& r) {
           return !r.SecretNames().empty() && r.target.host == url.host;
         });
}

void Add(Explanation& out, const char* name, std::string value) {
  if (!value.empty()) out.parts.emplace_back(name, std::move(value));
}

// Why it is denied, and what would allow it.
void AddDenial(Explanation& out, const Policy& policy, const RequestLine& request,
               const Decision& decision) {
  Add(out, "reason", decision.reason);
  Policy permitted = policy;
  permitted.permission = true;
  if (!policy.permission && Decider(permitted).Decide(request).allow) {
    Add(out, "change", "set permission: allow");
  } else if (decision.change.starts_with("add --allow-net=")) {
    Add(out, "change",
        fmt::format("{}add the rule {}, or {}",
                    policy.permission ? "" : "set permission: allow, and ",
                    SmallestRule(request).ToYaml(), decision.change.substr(4)));
  } else {
    Add(out, "change", decision.change);
  }
  if (policy.report) Add(out, "mode", "report: the request is let through, and told of at the end");
}

// How it would be performed.
void AddHow(Explanation& out, const Policy& policy, const Decision& decision, const Url& url) {
  Add(out, "addresses", AddressText(policy, decision.rule, url));
  Add(out, "adapter", AdapterText(policy));
  const Rule* rule = decision.rule;
  if (rule == nullptr || !decision.allow) return;
  std::vector<std::string> names;
  for (const SetHeader& h : rule->headers) names.push_back(h.name);
  Add(out, "sets headers", Joined(names));
  Add(out, "secrets", Joined(rule->SecretNames()));
  if (!rule->tls.certificate_file.empty())
    Add(out, "client certificate", rule->tls.certificate_file);
  Add(out, "pins", Joined(rule->tls.pins));
}

}  // namespace

Result<Explanation> Explain(const Policy& policy, std::string_view method, std::string_view text) {
  auto url = ReadRequest(method, text);
  if (!url) return url.error();
  const RequestLine request{*url,
                            url->scheme == "tcp"   ? "CONNECT"
                            : url->scheme == "dns" ? "LOOKUP"
                                                   : method,
                            {}};
  const Decision decision = Decider(policy).Decide(request);
  const auto blocked = BlockedNow(policy, decision, *url);
  const bool unfiltered = decision.allow && IsUnfiltered(policy, *url);
  Explanation out;
  out.allow = decision.allow && !blocked && !unfiltered;
  Add(out, "decision", out.allow ? "allow" : "deny");
  Add(out, "request", fmt::format("{} {}", request.method, url->ToString()));
  if (decision.rule != nullptr)
    Add(out, "rule", fmt::format("{} ({})", decision.rule->text, decision.rule->origin));
  if (!decision.allow) AddDenial(out, policy, request, decision);
  if (unfiltered) {
    Add(out, "reason",
        fmt::format("secrets go to {}, and a stream or WebSocket from there cannot be filtered: "
                    "ERR_SECRET_STREAM",
                    url->host));
  } else if (blocked) {
    Add(out, "reason", fmt::format("{} is blocked ({}): ERR_ADDRESS_BLOCKED", url->host, *blocked));
  } else if (decision.allow || policy.report) {
    AddHow(out, policy, decision, *url);
  }
  return out;
}

}  // namespace postern::policy
