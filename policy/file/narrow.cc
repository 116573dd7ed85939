#include "policy/file/narrow.h"

#include <algorithm>
#include <cstdint>

#include "base/format.h"

namespace postern::policy {
namespace {

bool HostCovers(const Target& wide, const Target& narrow) {
  using K = Target::Kind;
  switch (wide.kind) {
    case K::kAnyPublic:
      return true;  // the address guard is the ceiling's in any case
    case K::kHost:
    case K::kAddress:
      return narrow.kind == wide.kind && narrow.host == wide.host;
    case K::kSubdomains:
      return (narrow.kind == K::kHost && narrow.host.ends_with(fmt::format(".{}", wide.host))) ||
             (narrow.kind == K::kSubdomains &&
              (narrow.host == wide.host || narrow.host.ends_with(fmt::format(".{}", wide.host))));
    case K::kRange:
      return (narrow.kind == K::kAddress || narrow.kind == K::kRange) &&
             narrow.range.prefix >= wide.range.prefix && wide.range.Contains(narrow.range.base);
  }
  return false;
}

// An empty list of the narrower one asks for what the wider one has.
template <typename T, typename Within>
bool ListCovers(const std::vector<T>& wide, const std::vector<T>& narrow, const Within& within) {
  return wide.empty() || std::all_of(narrow.begin(), narrow.end(), [&](const T& n) {
           return std::any_of(wide.begin(), wide.end(), [&](const T& w) { return within(w, n); });
         });
}

bool Covers(const Rule& wide, const Rule& narrow) {
  const Target& w = wide.target;
  const Target& n = narrow.target;
  const bool scheme = n.scheme.empty()   ? w.scheme != "tcp"
                      : w.scheme.empty() ? n.scheme != "tcp"
                                         : n.scheme == w.scheme;
  return scheme && (n.port == 0 || w.port == 0 || n.port == w.port) && HostCovers(w, n) &&
         ListCovers(wide.methods, narrow.methods, std::equal_to<>()) &&
         ListCovers(wide.paths, narrow.paths,
                    [](const PathPattern& a, const PathPattern& b) { return a.Covers(b); });
}

Status CheckRule(const PolicyFile& ceiling, const Rule& rule) {
  const std::string quoted = fmt::format("the rule \"{}\"", rule.text);
  const bool extras = !rule.headers.empty() || rule.trace || !rule.secrets.empty() ||
                      !rule.addresses.empty() || !rule.tls.pins.empty() ||
                      !rule.tls.certificate_file.empty();
  if (extras)
    return Error{fmt::format(
        "{} has headers, trace, secrets, addresses or tls, which only the server's policy can have",
        quoted)};
  if (!rule.allow) return Ok{};
  const auto& rules = ceiling.network.rules;
  const bool within = std::any_of(rules.begin(), rules.end(),
                                  [&](const Rule& r) { return r.allow && Covers(r, rule); });
  if (ceiling.network.permission && within) return Ok{};
  return Error{fmt::format("{} allows more than the server's policy does", quoted)};
}

// What a run cannot say at all.
Status CheckForm(const PolicyFile& asked) {
  const Policy& p = asked.network;
  const std::pair<bool, const char*> served[] = {
      {!asked.secrets.empty(), "secrets"},
      {asked.audit_file.has_value(), "an audit log"},
      {!asked.mounts.empty(), "mounts"},
      {asked.ca_file.has_value(), "certificate authorities"},
      {p.adapter.kind != AdapterKind::kDirect && p.adapter.kind != AdapterKind::kNone,
       "an adapter other than none"},
      {!p.dns.servers.empty() || !p.dns.hosts.empty(), "DNS settings"},
      {p.report, "report mode"}};
  for (const auto& [said, what] : served) {
    if (said) return Error{fmt::format("{} can only be in the server's policy", what)};
  }
  return Ok{};
}

// Of most limits less is narrower; of these more is.
bool IsAtMost(const PolicyFile& ceiling, const PolicyFile& asked, const LimitName& l) {
  const NetworkLimits& c = ceiling.network.limits;
  const NetworkLimits& a = asked.network.limits;
  if (l.member == &NetworkLimits::min_bytes) return a.min_bytes >= c.min_bytes;
  if (l.member == &NetworkLimits::rate) {
    return c.rate == 0 ||
           (a.rate != 0 && a.rate <= c.rate && a.rate * c.rate_period <= c.rate * a.rate_period);
  }
  return a.*(l.member) <= c.*(l.member);
}

Status CheckLimits(const PolicyFile& ceiling, const PolicyFile& asked) {
  const auto beyond = [](const char* name) {
    return Error{fmt::format("limits: {} goes beyond the server's policy", name)};
  };
  for (const LimitName& l : LimitNames()) {
    if (!IsAtMost(ceiling, asked, l)) return beyond(l.name);
  }
  for (const RunLimitName& l : kRunLimits) {
    const int64_t c = ceiling.limits.*(l.member), a = asked.limits.*(l.member);
    if (l.member == &RunLimits::timer_resolution ? a < c : a > c) return beyond(l.name);
  }
  return Ok{};
}

}  // namespace

Result<PolicyFile> NarrowLimits(const PolicyFile& ceiling, const PolicyFile& asked) {
  if (Status s = CheckLimits(ceiling, asked); !s) return s.error();
  PolicyFile narrowed = ceiling;
  narrowed.limits = asked.limits;
  narrowed.network.limits = asked.network.limits;
  return narrowed;
}

Result<PolicyFile> Narrow(const PolicyFile& ceiling, const PolicyFile& asked) {
  if (Status s = CheckForm(asked); !s) return s.error();
  auto limited = NarrowLimits(ceiling, asked);
  if (!limited) return limited.error();
  for (const Rule& rule : asked.network.rules) {
    if (Status s = CheckRule(ceiling, rule); !s) return s.error();
  }
  PolicyFile narrowed = *std::move(limited);
  Policy& p = narrowed.network;
  if (asked.network.adapter.kind == AdapterKind::kNone) p.adapter = asked.network.adapter;
  p.denied_addresses.insert(p.denied_addresses.end(), asked.network.denied_addresses.begin(),
                            asked.network.denied_addresses.end());
  auto own = std::make_shared<Policy>();
  own->permission = asked.network.permission;
  own->rules = asked.network.rules;
  p.narrowed_by = std::move(own);
  for (const auto& [name, value] : asked.env) narrowed.env[name] = value;
  return narrowed;
}

}  // namespace postern::policy
