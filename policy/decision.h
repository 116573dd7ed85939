// Decision: whether a request may be made at all, and by which rule.
//
// Permission first, then denies, then allows; the order of rules never matters. The broker and
// `postern explain` ask the same Decider.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/format.h"
#include "policy/policy.h"

namespace postern::policy {

struct RequestLine {
  const Url& url;
  std::string_view method;  // "CONNECT" for tcp, "GET" for a WebSocket, "LOOKUP" for dns
  // What X-HTTP-Method-Override and its like ask the origin to take for the method, and
  // X-Original-URL and its like for the path (as in Url::path). A request is all of them: a deny
  // matches any, an allow must match each.
  std::vector<std::string> other_methods = {}, other_paths = {};
};

struct Decision {
  bool allow = false;
  // The rule that made it; null where none matched. Of several that allow a request the most
  // specific one: an exact host before a wildcard, a port, a scheme, a path, a method.
  const Rule* rule = nullptr;
  std::string reason;  // for a denial: a sentence with the host, the port and the rule
  std::string change;  // for a denial: the smallest change that would allow it
  // For the denial of a TCP stream: nothing but a tcp rule is missing, since others allow HTTP
  // there.
  bool http_only = false;

  // Reason and, where no rule forbids it, change: what a guest is told.
  std::string Sentence() const {
    return rule == nullptr ? fmt::format("{}; {}", reason, change) : reason;
  }
};

// The smallest rule that allows a request: its origin, its method ("" where the scheme has none)
// and its path ("" where no pattern can match it surely).
struct SmallestRule {
  explicit SmallestRule(const RequestLine& request);
  std::string ToYaml() const;  // {allow: "https://a.test", methods: [GET], paths: ["/x"]}

  std::string origin, method, path;
};

class Decider {
 public:
  // `policy` must outlive this, unchanged.
  explicit Decider(const Policy& policy);
  Decision Decide(const RequestLine& request) const;

 private:
  using Rules = std::vector<const Rule*>;
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using ByHost = std::unordered_map<std::string, Rules, TextHash, std::equal_to<>>;
  // All ranges of one family and length, by their first address.
  struct Ranges {
    bool v6;
    int prefix;
    ByHost by_base;
  };

  // Calls `visit` with each list of rules whose host can be that of `url`, and whether only their
  // denies count: those for the IPv4 address inside an IPv6 one.
  template <typename Visit>
  void EachRange(const IpAddress& ip, bool denies_only, const Visit& visit) const;
  template <typename Visit>
  void EachCandidate(const Url& url, const Visit& visit) const;
  Decision Denied(const RequestLine& request) const;
  std::pair<const Rule*, const Rule*> NearestRules(const RequestLine& request) const;
  bool AllowsHttp(const Url& stream) const;

  const Policy& policy_;
  ByHost exact_, below_;
  Rules any_;
  std::vector<Ranges> ranges_;
  std::unique_ptr<const Decider> narrowed_by_;
};

}  // namespace postern::policy
