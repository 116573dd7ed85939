#include "policy/file/policy_file_network.h"

#include <algorithm>
#include <cstdint>
#include <set>

#include "base/format.h"
#include "base/text.h"
#include "base/units.h"

namespace postern::policy {
namespace {

// "10.0.0.53", "10.0.0.53:5353", "fd00::53", "[fd00::53]:5353".
bool IsDnsServer(std::string_view text) {
  auto [host, port] = SplitPort(text);
  if (host.size() != text.size() && !ParsePort(port)) return false;
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    return IpAddress::Parse(std::string(host)).value_or(IpAddress{}).v6;
  }
  return IpAddress::Parse(std::string(host)).has_value();
}

// "sha256/" and the base64 of 32 bytes (RFC 7469's pin, as libcurl spells it).
bool IsPin(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256/",
                             kAlphabet =
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  constexpr size_t kDigits = 43;  // and one "="
  return text.starts_with(kPrefix) && text.size() == kPrefix.size() + kDigits + 1 &&
         text.ends_with('=') &&
         text.substr(kPrefix.size(), kDigits).find_first_not_of(kAlphabet) ==
             std::string_view::npos;
}

using Field = YamlReader::Field;

void ReadLimit(const YamlReader& r, const YAML::Node& node, const LimitName& limit,
               NetworkLimits& to) {
  const std::string text = r.Text(node, limit.name);
  int64_t value = 0;
  switch (limit.unit) {
    case LimitName::Unit::kDuration:
      value = r.Must(node, ParseDuration(text));
      break;
    case LimitName::Unit::kBytes:
      value = r.Must(node, ParseBytes(text));
      break;
    case LimitName::Unit::kCount:
      value = r.Must(node, ParseCount(text));
      break;
    case LimitName::Unit::kRate: {
      const Rate rate = r.Must(node, ParseRate(text));
      value = rate.count;
      to.rate_period = rate.period;
      break;
    }
  }
  if (value < limit.min || value > limit.max) {
    r.Refuse(node.Mark(),
             fmt::format("{} is out of range: {} to {}", limit.name, limit.min, limit.max));
  }
  to.*(limit.member) = value;
}

std::vector<Cidr> ReadRanges(const YamlReader& r, const YAML::Node& node, const std::string& what) {
  std::vector<Cidr> out;
  r.Each(node, what, [&](const YAML::Node& item) {
    out.push_back(r.Must(item, Cidr::Parse(r.Text(item, "an address range"))));
  });
  return out;
}

void ReadMethods(const YamlReader& r, const YAML::Node& node, Rule& rule) {
  r.Each(node, "methods", [&](const YAML::Node& item) {
    const std::string method = r.Text(item, "a method");
    if (!IsToken(method)) r.Refuse(item.Mark(), fmt::format("\"{}\" is no HTTP method", method));
    std::string upper = method;
    std::transform(upper.begin(), upper.end(), upper.begin(), ::toupper);
    if (method != upper) {
      r.Refuse(item.Mark(), fmt::format("methods are upper case: write {} for {}", upper, method));
    }
    if (method == "CONNECT" || method == "TRACE" || method == "TRACK") {
      r.Refuse(item.Mark(), fmt::format("{} is never sent; leave it out", method));
    }
    rule.methods.push_back(method);
  });
  if (rule.methods.empty()) r.Refuse(node.Mark(), "an empty list of methods matches nothing");
}

void ReadPaths(const YamlReader& r, const YAML::Node& node, Rule& rule) {
  r.Each(node, "paths", [&](const YAML::Node& item) {
    rule.paths.push_back(r.Must(item, PathPattern::Parse(r.Text(item, "a path"))));
  });
  if (rule.paths.empty()) r.Refuse(node.Mark(), "an empty list of paths matches nothing");
}

void ReadHeaders(const YamlReader& r, const YAML::Node& node, Rule& rule) {
  std::set<std::string> names;
  r.Entries(node, "headers", [&](const YAML::Node& key, const YAML::Node& value) {
    rule.headers.push_back({AsciiLower(key.Scalar()), r.Text(value, "a header's value")});
    if (!names.insert(rule.headers.back().name).second)
      r.Refuse(key.Mark(), fmt::format("the header {} stands twice", rule.headers.back().name));
  });
}

void ReadSecretPlaces(const YamlReader& r, const YAML::Node& node, SecretPlaces& places) {
  places = {false, false, false};
  r.Each(node, "secrets_in", [&](const YAML::Node& item) {
    const std::string place = r.OneOf(item, "secrets_in", {"headers", "query", "body"});
    (place == "headers" ? places.headers : place == "query" ? places.query : places.body) = true;
  });
}

void ReadTls(const YamlReader& r, const YAML::Node& node, RuleTls& tls) {
  r.Map(node, "tls",
        {{"certificate",
          [&](const YAML::Node& n) { tls.certificate_file = r.Text(n, "certificate"); }},
         {"key", [&](const YAML::Node& n) { tls.key_file = r.Text(n, "key"); }},
         {"pins", [&](const YAML::Node& n) {
            r.Each(n, "pins", [&](const YAML::Node& item) {
              tls.pins.push_back(r.Text(item, "a pin"));
              if (!IsPin(tls.pins.back())) {
                r.Refuse(item.Mark(),
                         "a pin is \"sha256/\" and the base64 of a public key's SHA-256 hash");
              }
            });
          }}});
}

void ReadRule(const YamlReader& r, const YAML::Node& node, Policy& policy) {
  Rule rule;
  bool named = false;
  const auto target = [&](bool allow) {
    return [&, allow](const YAML::Node& n) {
      if (named) r.Refuse(n.Mark(), "a rule has one of allow and deny");
      named = true;
      rule.allow = allow;
      if (n.IsSequence())
        r.Refuse(n.Mark(),
                 "a rule must be a single value; write a rule for each, as in rules: "
                 "[{allow: a.example}, {allow: b.example}]");
      rule.text = r.Text(n, "a rule");
      rule.target = r.Must(n, Target::Parse(rule.text));
      if (rule.target.path.empty()) return;
      if (!rule.paths.empty()) {
        r.Refuse(n.Mark(), "a rule has one of paths and a path after its host");
      }
      rule.paths.push_back(r.Must(n, PathPattern::Parse(rule.target.path)));
    };
  };
  bool places = false;
  r.Map(
      node, "a rule",
      {{"allow", target(true)},
       {"deny", target(false)},
       {"methods", [&](const YAML::Node& n) { ReadMethods(r, n, rule); }},
       {"paths",
        [&](const YAML::Node& n) {
          if (!rule.paths.empty()) {
            r.Refuse(n.Mark(), "a rule has one of paths and a path after its host");
          }
          ReadPaths(r, n, rule);
        }},
       {"addresses", [&](const YAML::Node& n) { rule.addresses = ReadRanges(r, n, "addresses"); }},
       {"headers", [&](const YAML::Node& n) { ReadHeaders(r, n, rule); }},
       {"trace", [&](const YAML::Node& n) { rule.trace = r.Boolean(n, "trace"); }},
       {"secrets",
        [&](const YAML::Node& n) {
          r.Each(n, "secrets", [&](const YAML::Node& item) {
            rule.secrets.push_back(r.Text(item, "a secret's name"));
          });
        }},
       {"secrets_in",
        [&](const YAML::Node& n) {
          places = true;
          ReadSecretPlaces(r, n, rule.secret_places);
        }},
       {"tls", [&](const YAML::Node& n) { ReadTls(r, n, rule.tls); }}});
  if (!named) r.Refuse(node.Mark(), "a rule needs allow or deny");
  if (places && rule.secrets.empty()) {
    r.Refuse(node.Mark(), "secrets_in says where the rule's secrets may go; it names none");
  }
  if (Status s = CheckRule(rule); !s) r.Refuse(node.Mark(), s.error().message);
  rule.origin = r.Where(node.Mark());
  policy.rules.push_back(std::move(rule));
}

void ReadDns(const YamlReader& r, const YAML::Node& node, Dns& dns) {
  const auto server = [&](const YAML::Node& n) {
    const std::string text = r.Text(n, "a server");
    if (!IsDnsServer(text)) {
      r.Refuse(n.Mark(), fmt::format("a DNS server is an IP address, with or without a port, as in "
                                     "10.0.0.53, 10.0.0.53:5353 or [fd00::53]:5353; not \"{}\"",
                                     text));
    }
    dns.servers.push_back(text);
  };
  const auto host = [&](const YAML::Node& key, const YAML::Node& value) {
    auto& to = dns.hosts[r.Must(key, CanonicalHost(key.Scalar()))];
    const auto add = [&](const YAML::Node& a) {
      const std::string text = r.Text(a, "an address");
      if (!IpAddress::Parse(text)) r.Refuse(a.Mark(), fmt::format("\"{}\" is no IP address", text));
      to.push_back(text);
    };
    if (value.IsSequence())
      r.Each(value, "addresses", add);
    else
      add(value);
    if (to.empty()) r.Refuse(value.Mark(), "a host without an address; leave it out");
  };
  r.Map(node, "dns",
        {{"servers", [&](const YAML::Node& n) { r.Each(n, "servers", server); }},
         {"hosts", [&](const YAML::Node& n) { r.Entries(n, "hosts", host); }}});
}

void ReadAdapter(const YamlReader& r, const YAML::Node& node, Adapter& adapter) {
  if (!node.IsMap()) {
    const bool none = r.OneOf(node, "adapter", {"none", "direct"}) == "none";
    adapter.kind = none ? AdapterKind::kNone : AdapterKind::kDirect;
    return;
  }
  bool named = false, resolves = false;
  const auto target = [&](AdapterKind kind) {
    return [&, kind](const YAML::Node& n) {
      if (named) r.Refuse(n.Mark(), "an adapter is one of proxy and replay");
      named = true;
      adapter.kind = kind;
      adapter.target = r.Text(n, "an adapter");
      if (kind == AdapterKind::kProxy) r.Must(n, ParseProxyUrl(adapter.target));
      if (adapter.target.empty()) r.Refuse(n.Mark(), "the file is missing");
    };
  };
  r.Map(node, "adapter",
        {{"proxy", target(AdapterKind::kProxy)},
         {"replay", target(AdapterKind::kReplay)},
         {"resolve", [&](const YAML::Node& n) {
            resolves = true;
            adapter.resolve_remote = r.OneOf(n, "resolve", {"local", "remote"}) == "remote";
          }}});
  if (!named) r.Refuse(node.Mark(), "an adapter that is a mapping names proxy or replay");
  if (resolves && adapter.kind != AdapterKind::kProxy) {
    r.Refuse(node.Mark(), "resolve belongs to a proxy");
  }
}

}  // namespace

void ReadNetwork(const YamlReader& r, const YAML::Node& node, PolicyFile& file) {
  Policy& p = file.network;
  std::vector<Field> limits;
  for (const LimitName& l : LimitNames()) {
    limits.emplace_back(l.name, [&](const YAML::Node& n) { ReadLimit(r, n, l, p.limits); });
  }
  const auto addresses = [&](const YAML::Node& n) {
    r.Map(n, "addresses", {{"deny", [&](const YAML::Node& list) {
                              p.denied_addresses = ReadRanges(r, list, "deny");
                            }}});
  };
  const auto tls = [&](const YAML::Node& n) {
    r.Map(n, "tls",
          {{"ca_file", [&](const YAML::Node& f) { file.ca_file = r.Text(f, "ca_file"); }}});
  };
  r.Map(node, "network",
        {{"permission",
          [&](const YAML::Node& n) {
            p.permission = r.OneOf(n, "permission", {"allow", "deny"}) == "allow";
          }},
         {"mode",
          [&](const YAML::Node& n) {
            p.report = r.OneOf(n, "mode", {"enforce", "report"}) == "report";
          }},
         {"adapter", [&](const YAML::Node& n) { ReadAdapter(r, n, p.adapter); }},
         {"rules",
          [&](const YAML::Node& n) {
            r.Each(n, "rules", [&](const YAML::Node& rule) { ReadRule(r, rule, p); });
          }},
         {"addresses", addresses},
         {"limits", [&](const YAML::Node& n) { r.Map(n, "limits", limits); }},
         {"dns", [&](const YAML::Node& n) { ReadDns(r, n, p.dns); }},
         {"tls", tls}});
}

}  // namespace postern::policy
