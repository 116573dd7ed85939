// The policy as JSON, from the supervisor to its broker: both ends are ours, and the texts of rules
// are parsed again rather than their parsed forms written out.
#include <nlohmann/json.hpp>

#include "base/format.h"
#include "policy/policy.h"

namespace postern::policy {
namespace {

using nlohmann::json;

json Strings(const std::vector<Cidr>& cidrs) {
  json list = json::array();
  for (const Cidr& c : cidrs) list.push_back(c.ToString());
  return list;
}

Result<std::vector<Cidr>> ReadCidrs(const json& list) {
  std::vector<Cidr> out;
  for (const std::string item : list) {
    auto cidr = Cidr::Parse(item);
    if (!cidr) return cidr.error();
    out.push_back(*cidr);
  }
  return out;
}

json RuleToJson(const Rule& r) {
  json paths = json::array();
  for (const PathPattern& p : r.paths) paths.push_back(p.text());
  json headers = json::array();
  for (const SetHeader& h : r.headers) headers.push_back({h.name, h.value});
  return {{"allow", r.allow},
          {"text", r.text},
          {"origin", r.origin},
          {"methods", r.methods},
          {"paths", paths},
          {"addresses", Strings(r.addresses)},
          {"headers", headers},
          {"trace", r.trace},
          {"secrets", r.secrets},
          {"in", {r.secret_places.headers, r.secret_places.query, r.secret_places.body}},
          {"certificate", r.tls.certificate},
          {"key", r.tls.key},
          {"pins", r.tls.pins}};
}

Result<Rule> RuleFromJson(const json& in) {
  Rule r;
  r.allow = in.at("allow");
  r.text = in.at("text");
  r.origin = in.at("origin");
  auto target = Target::Parse(r.text);
  if (!target) return target.error();
  r.target = *std::move(target);
  r.methods = in.at("methods").get<std::vector<std::string>>();
  for (const std::string text : in.at("paths")) {
    auto path = PathPattern::Parse(text);
    if (!path) return path.error();
    r.paths.push_back(*std::move(path));
  }
  auto addresses = ReadCidrs(in.at("addresses"));
  if (!addresses) return addresses.error();
  r.addresses = *std::move(addresses);
  for (const json& h : in.at("headers")) r.headers.push_back({h.at(0), h.at(1)});
  r.trace = in.at("trace");
  r.secrets = in.at("secrets").get<std::vector<std::string>>();
  const json& places = in.at("in");
  r.secret_places = {places.at(0), places.at(1), places.at(2)};
  r.tls.certificate = in.at("certificate");
  r.tls.key = in.at("key");
  r.tls.pins = in.at("pins").get<std::vector<std::string>>();
  return r;
}

json RulesToJson(const std::vector<Rule>& list) {
  json rules = json::array();
  for (const Rule& r : list) rules.push_back(RuleToJson(r));
  return rules;
}

Result<std::vector<Rule>> RulesFromJson(const json& list) {
  std::vector<Rule> rules;
  for (const json& r : list) {
    auto rule = RuleFromJson(r);
    if (!rule) return rule.error();
    rules.push_back(*std::move(rule));
  }
  return rules;
}

json NarrowedToJson(const Policy* p) {
  if (p == nullptr) return nullptr;
  return {{"permission", p->permission}, {"rules", RulesToJson(p->rules)}};
}

Result<std::shared_ptr<const Policy>> NarrowedFromJson(const json& in) {
  if (in.is_null()) return std::shared_ptr<const Policy>();
  auto p = std::make_shared<Policy>();
  p->permission = in.at("permission");
  auto rules = RulesFromJson(in.at("rules"));
  if (!rules) return rules.error();
  p->rules = *std::move(rules);
  return std::shared_ptr<const Policy>(std::move(p));
}

}  // namespace

std::string ToJson(const Policy& p) {
  json limits;
  for (const LimitName& l : LimitNames()) limits[l.name] = p.limits.*(l.member);
  limits["rate_period"] = p.limits.rate_period;
  return json{{"permission", p.permission},
              {"report", p.report},
              {"adapter", static_cast<int>(p.adapter.kind)},
              {"adapter_target", p.adapter.target},
              {"resolve_remote", p.adapter.resolve_remote},
              {"servers", p.dns.servers},
              {"hosts", p.dns.hosts},
              {"rules", RulesToJson(p.rules)},
              {"narrowed_by", NarrowedToJson(p.narrowed_by.get())},
              {"denied", Strings(p.denied_addresses)},
              {"trace", p.trace},
              {"secrets", p.secrets},
              {"audit_required", p.audit_required},
              {"audit_redact_query", p.audit_redact_query},
              {"limits", limits}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Policy> FromJson(std::string_view text) try {
  const json in = json::parse(text);
  Policy p;
  p.permission = in.at("permission");
  p.report = in.at("report");
  p.adapter.kind = static_cast<AdapterKind>(in.at("adapter").get<int>());
  p.adapter.target = in.at("adapter_target");
  p.adapter.resolve_remote = in.at("resolve_remote");
  p.dns.servers = in.at("servers").get<std::vector<std::string>>();
  p.dns.hosts = in.at("hosts").get<std::map<std::string, std::vector<std::string>>>();
  auto rules = RulesFromJson(in.at("rules"));
  if (!rules) return rules.error();
  p.rules = *std::move(rules);
  auto narrowed_by = NarrowedFromJson(in.at("narrowed_by"));
  if (!narrowed_by) return narrowed_by.error();
  p.narrowed_by = *std::move(narrowed_by);
  auto denied = ReadCidrs(in.at("denied"));
  if (!denied) return denied.error();
  p.denied_addresses = *std::move(denied);
  p.trace = in.at("trace");
  p.secrets = in.at("secrets").get<std::map<std::string, std::string>>();
  p.audit_required = in.at("audit_required");
  p.audit_redact_query = in.at("audit_redact_query");
  for (const LimitName& l : LimitNames()) p.limits.*(l.member) = in.at("limits").at(l.name);
  p.limits.rate_period = in.at("limits").at("rate_period");
  return p;
} catch (const json::exception& e) {
  return Error{fmt::format("malformed policy: {}", e.what())};
}

}  // namespace postern::policy
