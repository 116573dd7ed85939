// Target: which origins a rule is about, in canonical form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/rules/address_ranges.h"
#include "policy/rules/url.h"

namespace postern::policy {

struct Target {
  enum class Kind { kHost, kSubdomains, kAnyPublic, kAddress, kRange };
  Kind kind = Kind::kHost;
  std::string scheme;  // empty: http and https (and what upgrades from them)
  std::string host;    // kHost, kAddress: as in Url::host; kSubdomains: what follows "*."
  Cidr range;          // kAddress, kRange
  uint16_t port = 0;   // 0: any
  std::string path;    // a pattern after a scheme's host, or empty

  // "host", "host:port", "*.host", "*", "scheme://host[:port][/path]", IP literals, and ranges
  // ("10.0.0.0/8", "10.0.0.0/8:5432", "[fd00::/8]:443").
  static Result<Target> Parse(std::string_view text);
  // Whether scheme and port of `url` are this target's; its host is not looked at.
  bool MatchesSchemeAndPort(const Url& url) const;
  // Looks at the host as well.
  bool Matches(const Url& url) const;

 private:
  // Parts of Parse. `text`: all of it, for messages; `rest`: what is left of it.
  Status TakeScheme(std::string_view text, std::string_view& rest);
  Status TakePath(std::string_view text, std::string_view& rest);
  Status SetPort(std::string_view text, bool has_port, std::string_view written);
  Status SetHost(std::string_view text, std::string_view written);
};

// "localhost" and all names below it (RFC 6761 section 6.3).
bool IsLocalhost(std::string_view host);

}  // namespace postern::policy
