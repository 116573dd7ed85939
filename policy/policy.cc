#include "policy/policy.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace postern::policy {
namespace {

using nlohmann::json;

Result<uint16_t> ParsePort(std::string_view text, std::string_view rule) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return Error{"rule \"" + std::string(rule) + "\": the port must be a number from 1 to 65535"};
  }
  return port;
}

Error BadRule(std::string_view rule, const std::string& why) {
  return Error{
      "rule \"" + std::string(rule) + "\": " + why +
      "; a rule is HOST[:PORT], *.HOST, *, SCHEME://HOST[:PORT], an IP address or a range"};
}

// Splits "host:port", "[v6]:port", "v6" and "host"; the port is empty where there is none.
std::pair<std::string_view, std::string_view> SplitPort(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return {text, {}};
    if (close + 1 < text.size() && text[close + 1] == ':')
      return {text.substr(0, close + 1), text.substr(close + 2)};
    return {text, {}};
  }
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.find(':', colon + 1) != std::string_view::npos)
    return {text, {}};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

bool EndsInLabel(const std::string& host, const std::string& suffix) {
  return host.size() > suffix.size() + 1 && host.ends_with(suffix) &&
         host[host.size() - suffix.size() - 1] == '.';
}

bool IsLocalhost(const std::string& host) {
  return host == "localhost" || EndsInLabel(host, "localhost");
}

bool SchemeMatches(const std::string& rule, const std::string& url) {
  if (rule.empty()) return url != "tcp";  // a tcp: rule alone grants raw streams
  return rule == url || (rule == "https" && url == "wss") || (rule == "http" && url == "ws");
}

}  // namespace

Result<Target> Target::Parse(std::string_view text) {
  Target t;
  std::string_view rest = text;
  if (const size_t at = rest.find("://"); at != std::string_view::npos) {
    t.scheme = rest.substr(0, at);
    rest.remove_prefix(at + 3);
    if (rest.ends_with('/')) rest.remove_suffix(1);
    static const char* const kSchemes[] = {"http", "https", "ws", "wss", "tcp"};
    if (std::find(std::begin(kSchemes), std::end(kSchemes), t.scheme) == std::end(kSchemes)) {
      return BadRule(text, "scheme \"" + t.scheme + "\" is none of http, https, ws, wss, tcp");
    }
  }
  if (rest.empty()) return BadRule(text, "the host is missing");
  if (rest.find('@') != std::string_view::npos)
    return BadRule(text, "user info has no place in a rule");
  if (rest.find('/') != std::string_view::npos) {
    const Result<Cidr> range = Cidr::Parse(std::string(rest));
    if (!range) return BadRule(text, range.error().message);
    t.kind = Kind::kRange;
    t.range = *range;
    return t;
  }
  const auto [host, port] = SplitPort(rest);
  if (host.size() != rest.size()) {
    const Result<uint16_t> number = ParsePort(port, text);
    if (!number) return number.error();
    t.port = *number;
  } else if (t.scheme == "http" || t.scheme == "ws") {
    t.port = 80;
  } else if (t.scheme == "https" || t.scheme == "wss") {
    t.port = 443;
  } else if (t.scheme == "tcp") {
    return BadRule(text, "a tcp rule needs a port");
  }
  if (host == "*") {
    t.kind = Kind::kAnyPublic;
    return t;
  }
  const bool below = host.starts_with("*.");
  const std::string_view name = below ? host.substr(2) : host;
  if (name.find('*') != std::string_view::npos)
    return BadRule(text, "\"*\" stands alone or before the first dot");
  const Result<std::string> canonical = CanonicalHost(name);
  if (!canonical) return BadRule(text, canonical.error().message);
  t.host = *canonical;
  if (const auto ip = IpAddress::Parse(t.host)) {
    if (below) return BadRule(text, "an address has no subdomains");
    t.kind = Kind::kAddress;
    t.range = Cidr{*ip, ip->v6 ? 128 : 32};
  } else {
    t.kind = below ? Kind::kSubdomains : Kind::kHost;
  }
  return t;
}

bool Target::Matches(const Url& url) const {
  if (!SchemeMatches(scheme, url.scheme) || (port != 0 && port != url.port)) return false;
  switch (kind) {
    case Kind::kHost:
      return url.host == host;
    case Kind::kSubdomains:
      return EndsInLabel(url.host, host);
    case Kind::kAnyPublic:
      return true;
    case Kind::kAddress:
    case Kind::kRange: {
      const auto ip = IpAddress::Parse(url.host);
      return ip && range.Contains(*ip);
    }
  }
  return false;
}

Decision Decide(const Policy& policy, const Url& url) {
  const std::string where = url.HostPort();
  if (!policy.permission) {
    return {false, nullptr,
            "network access to " + where +
                " is denied: this guest has no network permission; add --allow-net=" + where};
  }
  for (const Rule& rule : policy.rules) {
    if (!rule.allow && rule.target.Matches(url)) {
      return {false, &rule,
              "network access to " + where + " is denied by the rule \"" + rule.text + "\" (" +
                  rule.origin + ")"};
    }
  }
  for (const Rule& rule : policy.rules) {
    if (rule.allow && rule.target.Matches(url)) return {true, &rule, {}};
  }
  return {false, nullptr,
          "network access to " + where + " is denied: no rule allows it; add --allow-net=" + where};
}

std::optional<std::string> AddressBlocked(const Policy& policy, const Rule& rule, const Url& url,
                                          const IpAddress& address,
                                          const std::vector<IpAddress>& own) {
  for (const Cidr& denied : policy.denied_addresses) {
    if (denied.Contains(address)) return "denied by addresses: {deny: [" + denied.ToString() + "]}";
  }
  for (const Cidr& opened : rule.addresses) {
    if (opened.Contains(address)) return std::nullopt;
  }
  const auto special = NotPublic(address);
  const Target& t = rule.target;
  if (t.kind == Target::Kind::kAddress && t.range.Contains(address)) return std::nullopt;
  if (t.kind == Target::Kind::kRange && url.host_is_ip && t.range.Contains(address)) {
    // A wide range must not open loopback or link-local by the way: it has to lie inside them.
    for (const char* cidr : {"127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"}) {
      const Result<Cidr> inner = Cidr::Parse(cidr);
      if (!inner->Contains(address)) continue;
      if (inner->Contains(t.range.base) && t.range.prefix >= inner->prefix) return std::nullopt;
      return *special;
    }
    return std::nullopt;
  }
  if (t.kind == Target::Kind::kHost && IsLocalhost(t.host) && special == "loopback")
    return std::nullopt;
  if (special) return *special;
  for (const IpAddress& mine : own) {
    if (mine == address) return "an address of this host";
  }
  return std::nullopt;
}

std::optional<std::vector<uint16_t>> ConnectPorts(const Policy& policy) {
  std::vector<uint16_t> ports = {53};
  for (const std::string& server : policy.dns.servers) {
    // "address" or "address:port"; a bare IPv6 address has more than one colon.
    const size_t colon = server.rfind(':');
    if (colon == std::string::npos || (server.find(':') != colon && !server.starts_with('[')))
      continue;
    const Result<uint16_t> port = ParsePort(server.substr(colon + 1), server);
    if (port) ports.push_back(*port);
  }
  for (const Rule& rule : policy.rules) {
    if (!rule.allow) continue;
    if (rule.target.port == 0) return std::nullopt;
    ports.push_back(rule.target.port);
  }
  return ports;
}

const std::vector<LimitName>& LimitNames() {
  using U = LimitName::Unit;
  constexpr int64_t kDay = 24LL * 3600 * 1000;
  constexpr int64_t kTiB = 1LL << 40;
  static const std::vector<LimitName> kNames = {
      {"resolve_timeout", &Limits::resolve_timeout, U::kDuration, 1, kDay},
      {"connect_timeout", &Limits::connect_timeout, U::kDuration, 1, kDay},
      {"tls_timeout", &Limits::tls_timeout, U::kDuration, 1, kDay},
      {"headers_timeout", &Limits::headers_timeout, U::kDuration, 1, kDay},
      {"idle_timeout", &Limits::idle_timeout, U::kDuration, 1, kDay},
      {"min_bytes", &Limits::min_bytes, U::kBytes, 1, kTiB},
      {"upload_timeout", &Limits::upload_timeout, U::kDuration, 1, kDay},
      {"unread_timeout", &Limits::unread_timeout, U::kDuration, 1, kDay},
      {"total_timeout", &Limits::total_timeout, U::kDuration, 1, kDay},
      {"concurrent", &Limits::concurrent, U::kCount, 1, 1000},
      {"requests", &Limits::requests, U::kCount, 0, kTiB},
      {"request_bytes", &Limits::request_bytes, U::kBytes, 0, kTiB},
      {"response_bytes", &Limits::response_bytes, U::kBytes, 0, kTiB},
      {"header_bytes", &Limits::header_bytes, U::kBytes, 256, 64 << 10},
      {"header_count", &Limits::header_count, U::kCount, 1, 1024},
      {"redirects", &Limits::redirects, U::kCount, 0, 100},
  };
  return kNames;
}

std::string ToJson(const Policy& p) {
  json out = {{"permission", p.permission},
              {"direct", p.adapter == AdapterKind::kDirect},
              {"servers", p.dns.servers},
              {"hosts", p.dns.hosts}};
  const auto strings = [](const std::vector<Cidr>& cidrs) {
    json list = json::array();
    for (const Cidr& c : cidrs) list.push_back(c.ToString());
    return list;
  };
  for (const Rule& r : p.rules) {
    out["rules"].push_back({{"allow", r.allow},
                            {"text", r.text},
                            {"origin", r.origin},
                            {"addresses", strings(r.addresses)}});
  }
  out["denied"] = strings(p.denied_addresses);
  for (const LimitName& l : LimitNames()) out["limits"][l.name] = p.limits.*(l.member);
  return out.dump();
}

Result<Policy> FromJson(std::string_view text) try {
  const json in = json::parse(text);
  Policy p;
  p.permission = in.at("permission");
  p.adapter = in.at("direct").get<bool>() ? AdapterKind::kDirect : AdapterKind::kNone;
  p.dns.servers = in.at("servers").get<std::vector<std::string>>();
  p.dns.hosts = in.at("hosts").get<std::map<std::string, std::vector<std::string>>>();
  const auto cidrs = [](const json& list, std::vector<Cidr>& to) {
    for (const std::string item : list) {
      if (auto c = Cidr::Parse(item)) to.push_back(*c);
    }
  };
  for (const json& r : in.value("rules", json::array())) {
    Rule rule{.allow = r.at("allow"), .text = r.at("text"), .origin = r.at("origin")};
    auto target = Target::Parse(rule.text);
    if (!target) return target.error();
    rule.target = *target;
    cidrs(r.at("addresses"), rule.addresses);
    p.rules.push_back(std::move(rule));
  }
  cidrs(in.at("denied"), p.denied_addresses);
  for (const LimitName& l : LimitNames()) p.limits.*(l.member) = in.at("limits").at(l.name);
  return p;
} catch (const json::exception& e) {
  return Error{std::string("malformed policy: ") + e.what()};
}

}  // namespace postern::policy
