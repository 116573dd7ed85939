#include "policy/decision.h"

#include <algorithm>
#include <tuple>

#include "base/format.h"
#include "base/text.h"

namespace postern::policy {
namespace {

constexpr size_t kShownPath = 200;  // bytes of a path in a message

std::string BaseKey(const IpAddress& address, int prefix) {
  const IpAddress base = address.Masked(prefix);
  return {reinterpret_cast<const char*>(base.bytes.data()), base.v6 ? 16U : 4U};
}

// The paths of a request are read once, and only where a rule asks.
class RequestReader {
 public:
  explicit RequestReader(const RequestLine& request) : request_(request) {}

  // Who may ask for anything of a host may know its addresses; who may not ask for some of it, too.
  bool Denies(const Rule& rule) {
    if (IsLookup())
      return rule.target.scheme.empty() && rule.target.port == 0 && rule.methods.empty() &&
             rule.paths.empty();
    return rule.target.MatchesSchemeAndPort(request_.url) && DenyMethod(rule) && DenyPath(rule);
  }
  bool Allows(const Rule& rule) {
    return IsLookup() ||
           (rule.target.MatchesSchemeAndPort(request_.url) && AllowMethod(rule) && AllowPath(rule));
  }
  bool AllowMethod(const Rule& rule) const {
    const auto named = [&](std::string_view method) {
      return std::find(rule.methods.begin(), rule.methods.end(), method) != rule.methods.end();
    };
    const auto& others = request_.other_methods;
    return rule.methods.empty() ||
           (named(request_.method) && std::all_of(others.begin(), others.end(), named));
  }
  bool AllowPath(const Rule& rule) {
    if (rule.paths.empty()) return true;
    const auto allows = [&](const PathReadings& read) {
      return !read.opaque &&
             std::all_of(read.all.begin(), read.all.end(),
                         [&](const Segments& path) { return MatchesAny(rule, path, false); });
    };
    return std::all_of(Readings().begin(), Readings().end(), allows);
  }

 private:
  bool IsLookup() const { return request_.url.scheme == "dns"; }
  // Servers differ in whether letter case matters: for a deny it does not.
  bool DenyMethod(const Rule& rule) const {
    return rule.methods.empty() ||
           std::any_of(rule.methods.begin(), rule.methods.end(), [&](const std::string& m) {
             const auto is = [&](std::string_view method) { return EqualsIgnoringCase(m, method); };
             const auto& others = request_.other_methods;
             return is(request_.method) || std::any_of(others.begin(), others.end(), is);
           });
  }
  bool DenyPath(const Rule& rule) {
    if (rule.paths.empty()) return true;
    const auto matches = [&](const Segments& path) { return MatchesAny(rule, path, true); };
    return std::any_of(Readings().begin(), Readings().end(), [&](const PathReadings& read) {
      return read.opaque || std::any_of(read.all.begin(), read.all.end(), matches) ||
             std::any_of(read.for_denies.begin(), read.for_denies.end(), matches);
    });
  }
  static bool MatchesAny(const Rule& rule, const Segments& path, bool ignore_case) {
    return std::any_of(rule.paths.begin(), rule.paths.end(),
                       [&](const PathPattern& p) { return p.Matches(path, ignore_case); });
  }
  // Of the URL's path, and of each other one.
  const std::vector<PathReadings>& Readings() {
    if (readings_.empty()) {
      readings_.push_back(ReadPath(request_.url.path));
      for (const std::string& path : request_.other_paths) readings_.push_back(ReadPath(path));
    }
    return readings_;
  }

  const RequestLine& request_;
  std::vector<PathReadings> readings_;
};

auto Specificity(const Rule& r) {
  const Target& t = r.target;
  using K = Target::Kind;
  const int kind = t.kind == K::kHost || t.kind == K::kAddress ? 3
                   : t.kind == K::kSubdomains                  ? 2
                   : t.kind == K::kRange                       ? 1
                                                               : 0;
  const size_t size = kind == 2 ? t.host.size() : static_cast<size_t>(t.range.prefix);
  return std::tuple(kind, size, t.port != 0, !t.scheme.empty(), !r.paths.empty(),
                    !r.methods.empty());
}

std::string Quoted(const Rule& rule) {
  return fmt::format("the rule \"{}\" ({})", rule.text, rule.origin);
}

// Whether a rule can name a method: those in lower case, as fetch sends "patch", are none of
// HTTP's, and signs mean something else to YAML.
bool CanBeNamed(std::string_view method) {
  return !method.empty() && method.front() >= 'A' && method.front() <= 'Z' &&
         std::all_of(method.begin(), method.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

// The flag that would allow it. A client that speaks HTTP on a socket of its own needs no more than
// fetch does.
std::string FlagThatAllows(const Url& url, bool http_only) {
  const std::string where = url.HostPort();
  if (url.scheme != "tcp") return fmt::format("--allow-net={}", where);
  if (http_only) return fmt::format("--allow-net=tcp://{}", where);
  return fmt::format("--allow-net={} for HTTP, or --allow-net=tcp://{}", where, where);
}

// `rule` allows other methods.
void DenyMethod(const Rule& rule, const RequestLine& request, Decision& d) {
  std::string list;
  for (const std::string& m : rule.methods) list += (list.empty() ? "" : ", ") + m;
  std::string wanted(request.method);
  for (const std::string& other : request.other_methods) {
    const bool is_known =
        std::find(rule.methods.begin(), rule.methods.end(), wanted) != rule.methods.end();
    if (is_known) wanted = other;
  }
  d.change =
      CanBeNamed(wanted)
          ? fmt::format("add {} to the methods of {}", wanted, Quoted(rule))
          : fmt::format("send a method of HTTP's, in upper case, or leave the methods out of {}",
                        Quoted(rule));
  fmt::format_to(std::back_inserter(d.reason), "{} allows {} only, not {}", Quoted(rule), list,
                 wanted);
}

}  // namespace

SmallestRule::SmallestRule(const RequestLine& request) {
  const Url& url = request.url;
  origin = url.scheme == "dns" ? url.HostPort() : url.Origin();
  if (url.scheme == "tcp" || url.scheme == "dns") return;
  if ((url.scheme == "http" || url.scheme == "https") && CanBeNamed(request.method))
    method = request.method;
  std::string literal;
  for (const char c : url.path) {
    if (c == '"' || c == '\\') return;
    literal += c == '*' ? "%2A" : std::string(1, c);
  }
  const auto pattern = PathPattern::Parse(literal);
  const PathReadings read = ReadPath(url.path);
  const bool sure = pattern && !read.opaque &&
                    std::all_of(read.all.begin(), read.all.end(),
                                [&](const Segments& s) { return pattern->Matches(s, false); });
  if (sure) path = literal;
}

std::string SmallestRule::ToYaml() const {
  return fmt::format("{{allow: \"{}\"{}{}}}", origin,
                     method.empty() ? "" : fmt::format(", methods: [{}]", method),
                     path.empty() ? "" : fmt::format(", paths: [\"{}\"]", path));
}

Decider::Decider(const Policy& policy) : policy_(policy) {
  if (policy.narrowed_by) narrowed_by_ = std::make_unique<Decider>(*policy.narrowed_by);
  for (const Rule& rule : policy.rules) {
    const Target& t = rule.target;
    switch (t.kind) {
      case Target::Kind::kHost:
      case Target::Kind::kAddress:
        exact_[t.host].push_back(&rule);
        break;
      case Target::Kind::kSubdomains:
        below_[t.host].push_back(&rule);
        break;
      case Target::Kind::kAnyPublic:
        any_.push_back(&rule);
        break;
      case Target::Kind::kRange: {
        auto same = std::find_if(ranges_.begin(), ranges_.end(), [&](const Ranges& r) {
          return r.v6 == t.range.base.v6 && r.prefix == t.range.prefix;
        });
        if (same == ranges_.end()) {
          same = ranges_.insert(same, Ranges{t.range.base.v6, t.range.prefix, {}});
        }
        same->by_base[BaseKey(t.range.base, t.range.prefix)].push_back(&rule);
        break;
      }
    }
  }
}

template <typename Visit>
void Decider::EachRange(const IpAddress& ip, bool denies_only, const Visit& visit) const {
  for (const Ranges& r : ranges_) {
    if (r.v6 != ip.v6) continue;
    const auto found = r.by_base.find(BaseKey(ip, r.prefix));
    if (found != r.by_base.end()) visit(found->second, denies_only);
  }
}

template <typename Visit>
void Decider::EachCandidate(const Url& url, const Visit& visit) const {
  if (const auto found = exact_.find(url.host); found != exact_.end()) visit(found->second, false);
  visit(any_, false);
  if (url.host_is_ip) {
    const auto ip = IpAddress::Parse(url.host);
    if (!ip) return;
    EachRange(*ip, false, visit);
    const auto embedded = EmbeddedIpv4(*ip);
    if (!embedded) return;
    EachRange(*embedded, true, visit);
    const auto found = exact_.find(embedded->ToString());
    if (found != exact_.end()) visit(found->second, true);
    return;
  }
  std::string_view rest = url.host;
  for (size_t dot = rest.find('.'); dot != std::string_view::npos; dot = rest.find('.')) {
    rest.remove_prefix(dot + 1);
    if (const auto found = below_.find(rest); found != below_.end()) visit(found->second, false);
  }
}

Decision Decider::Decide(const RequestLine& request) const {
  if (!policy_.permission) return Denied(request);
  RequestReader reader(request);
  const Rule* denied = nullptr;
  const Rule* allowed = nullptr;
  EachCandidate(request.url, [&](const Rules& rules, bool denies_only) {
    for (const Rule* rule : rules) {
      if (denies_only && rule->allow) continue;
      if (!rule->allow) {
        if (denied == nullptr && reader.Denies(*rule)) denied = rule;
      } else if ((allowed == nullptr || Specificity(*rule) > Specificity(*allowed)) &&
                 reader.Allows(*rule)) {
        allowed = rule;
      }
    }
  });
  if (denied != nullptr) {
    Decision d{false, denied, {}, {}};
    d.reason = fmt::format("network access to {} is denied by {}", request.url.HostPort(),
                           Quoted(*denied));
    d.change = fmt::format("take out or narrow the deny \"{}\" ({})", denied->text, denied->origin);
    if (allowed == nullptr)
      fmt::format_to(std::back_inserter(d.change), ", and {}", Denied(request).change);
    return d;
  }
  if (allowed == nullptr) return Denied(request);
  if (narrowed_by_) {
    Decision d = narrowed_by_->Decide(request);
    if (!d.allow) {
      d.reason += ", in this run's own policy";
      d.change = "allow it there";
      return d;
    }
  }
  return {true, allowed, {}, {}};
}

// No permission, or no rule: what is nearest, and what would have to change.
Decision Decider::Denied(const RequestLine& request) const {
  const Url& url = request.url;
  const bool http_only = url.scheme == "tcp" && AllowsHttp(url);
  Decision d;
  d.reason = fmt::format("network access to {} is denied: ", url.HostPort());
  d.change = fmt::format("add {}", FlagThatAllows(url, http_only));
  if (!policy_.permission) {
    d.reason += "this guest has no network permission";
    return d;
  }
  const auto [method, path] = NearestRules(request);
  if (method != nullptr) {
    DenyMethod(*method, request, d);
  } else if (path != nullptr) {
    const std::string shown = url.path.substr(0, kShownPath);
    d.change = fmt::format("add \"{}\" to the paths of {}", shown, Quoted(*path));
    fmt::format_to(std::back_inserter(d.reason), "no path of {} is sure to match {}", Quoted(*path),
                   shown);
  } else {
    d.http_only = http_only;
    d.reason += http_only ? "its rules allow HTTP, and no TCP stream" : "no rule allows it";
  }
  return d;
}

// Of the rules that a request would be allowed by but for its method, and but for its path, the
// last ones; null where there is none.
std::pair<const Rule*, const Rule*> Decider::NearestRules(const RequestLine& request) const {
  RequestReader reader(request);
  const Rule* method = nullptr;
  const Rule* path = nullptr;
  EachCandidate(request.url, [&](const Rules& rules, bool denies_only) {
    for (const Rule* rule : rules) {
      if (denies_only || !rule->allow || !rule->target.MatchesSchemeAndPort(request.url)) continue;
      if (reader.AllowPath(*rule)) {
        method = rule;
      } else if (reader.AllowMethod(*rule)) {
        path = rule;
      }
    }
  });
  return {method, path};
}

// Whether a rule allows some HTTP request where a TCP stream leads.
bool Decider::AllowsHttp(const Url& stream) const {
  Url http = stream, https = stream;
  http.scheme = "http";
  https.scheme = "https";
  bool allows = false;
  EachCandidate(stream, [&](const Rules& rules, bool denies_only) {
    for (const Rule* rule : rules) {
      const Target& t = rule->target;
      allows = allows || (!denies_only && rule->allow &&
                          (t.MatchesSchemeAndPort(http) || t.MatchesSchemeAndPort(https)));
    }
  });
  return allows;
}

}  // namespace postern::policy
