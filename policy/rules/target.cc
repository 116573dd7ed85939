#include "policy/rules/target.h"

#include <algorithm>
#include <charconv>

#include "base/format.h"
#include "base/text.h"

namespace postern::policy {
namespace {

Error BadRule(std::string_view rule, const std::string& why) {
  return Error{
      fmt::format("rule \"{}\": {}; a rule is HOST[:PORT], *.HOST, *, SCHEME://HOST[:PORT][/PATH], "
                  "an IP address or a range",
                  rule, why)};
}

bool EndsInLabel(std::string_view host, std::string_view suffix) {
  return host.size() > suffix.size() + 1 && host.ends_with(suffix) &&
         host[host.size() - suffix.size() - 1] == '.';
}

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// "10.0.0.0/8", "10.0.0.0/8:443", "fd00::/8", "[fd00::/8]", "[fd00::/8]:443": the range, and the
// port or nothing. False where the text is of another form.
bool SplitRange(std::string_view text, std::string_view* range, std::string_view* port) {
  *port = {};
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || text.find('/') > close) return false;
    *range = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && !rest.starts_with(':')) return false;
    if (!rest.empty()) *port = rest.substr(1);
    return true;
  }
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || !IpAddress::Parse(std::string(text.substr(0, slash)))) {
    return false;
  }
  const size_t colon = text.find(':', slash);
  *range = text.substr(0, colon);
  if (colon != std::string_view::npos) *port = text.substr(colon + 1);
  return true;
}

// What somebody who means no host by a rule writes; with a port or a scheme it is one.
constexpr std::string_view kEverything[] = {"all", "any", "true", "yes", "on", "public"};
constexpr std::string_view kNothing[] = {"none", "null", "false", "no", "off"};

template <size_t kSize>
bool IsOneOf(const std::string_view (&words)[kSize], std::string_view word) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

// Why a host that stands alone in a rule is not meant as one, or empty.
std::string NoHost(std::string_view host) {
  const std::string name(host), lower = AsciiLower(host);
  if (IsDigits(host) && ParsePort(host))
    return fmt::format("a port stands behind a host, as in a.example:{}", name);
  if (IsOneOf(kEverything, lower))
    return fmt::format(
        "write * for every public address (or --allow-net alone), {}:PORT for a host of that name",
        name);
  if (IsOneOf(kNothing, lower))
    return fmt::format("leave it out for no network, or write {}:PORT for a host of that name",
                       name);
  return {};
}

}  // namespace

bool IsLocalhost(std::string_view host) {
  return host == "localhost" || EndsInLabel(host, "localhost");
}

Result<Target> Target::Parse(std::string_view text) {
  Target t;
  std::string_view rest = text;
  if (Status s = t.TakeScheme(text, rest); !s) return s.error();
  if (rest.find('@') < rest.find('/')) return BadRule(text, "user info has no place in a rule");
  std::string_view range, port;
  const bool is_range = SplitRange(rest, &range, &port) &&
                        (t.scheme.empty() || IsDigits(range.substr(range.find('/') + 1)));
  bool has_port = !port.empty();
  if (is_range) {
    const Result<Cidr> cidr = Cidr::Parse(std::string(range));
    if (!cidr) return BadRule(text, cidr.error().message);
    t.kind = Kind::kRange;
    t.range = *cidr;
  } else {
    if (Status s = t.TakePath(text, rest); !s) return s.error();
    if (rest.empty()) return BadRule(text, "the host is missing");
    const auto [host, after] = SplitPort(rest);
    has_port = host.size() != rest.size();
    if (rest.find(',') != std::string_view::npos)
      return BadRule(text, "it has one host and one port; write a rule for each");
    if (!has_port && t.scheme.empty()) {
      if (const std::string why = NoHost(host); !why.empty()) return BadRule(text, why);
    }
    port = after;
    rest = host;
  }
  if (Status s = t.SetPort(text, has_port, port); !s) return s.error();
  if (is_range) return t;
  if (Status s = t.SetHost(text, rest); !s) return s.error();
  return t;
}

Status Target::TakeScheme(std::string_view text, std::string_view& rest) {
  const size_t at = rest.find("://");
  if (at == std::string_view::npos) return Ok{};
  scheme = rest.substr(0, at);
  rest.remove_prefix(at + 3);
  static const char* const kSchemes[] = {"http", "https", "ws", "wss", "tcp"};
  if (std::find(std::begin(kSchemes), std::end(kSchemes), scheme) != std::end(kSchemes))
    return Ok{};
  return BadRule(text, fmt::format("scheme \"{}\" is none of http, https, ws, wss, tcp", scheme));
}

Status Target::TakePath(std::string_view text, std::string_view& rest) {
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return Ok{};
  if (scheme.empty()) {
    return BadRule(text, fmt::format("a path needs a scheme before it, as in https://{}", rest));
  }
  if (scheme == "tcp") return BadRule(text, "a tcp rule has no path");
  if (rest.size() > slash + 1) path = rest.substr(slash);
  rest = rest.substr(0, slash);
  return Ok{};
}

Status Target::SetPort(std::string_view text, bool has_port, std::string_view written) {
  if (!has_port && scheme == "tcp") return BadRule(text, "a tcp rule needs a port");
  if (!has_port) {
    if (!scheme.empty()) port = DefaultPort(scheme);
    return Ok{};
  }
  const Result<uint16_t> number = ParsePort(written);
  if (!number) return BadRule(text, number.error().message);
  port = *number;
  return Ok{};
}

Status Target::SetHost(std::string_view text, std::string_view written) {
  if (written == "*") {
    kind = Kind::kAnyPublic;
    return Ok{};
  }
  const bool below = written.starts_with("*.");
  const std::string_view name = below ? written.substr(2) : written;
  if (name.find('*') != std::string_view::npos)
    return BadRule(text, "\"*\" stands alone or before the first dot");
  const Result<std::string> canonical = CanonicalHost(name);
  if (!canonical) return BadRule(text, canonical.error().message);
  host = *canonical;
  const auto ip = IpAddress::Parse(host);
  if (!ip) {
    kind = below ? Kind::kSubdomains : Kind::kHost;
    return Ok{};
  }
  if (below) return BadRule(text, "an address has no subdomains");
  kind = Kind::kAddress;
  range = Cidr{*ip, ip->v6 ? 128 : 32};
  return Ok{};
}

bool Target::MatchesSchemeAndPort(const Url& url) const {
  if (port != 0 && port != url.port) return false;
  if (scheme.empty()) return url.scheme != "tcp";  // a tcp: rule alone grants raw streams
  return scheme == url.scheme || (scheme == "https" && url.scheme == "wss") ||
         (scheme == "http" && url.scheme == "ws");
}

bool Target::Matches(const Url& url) const {
  if (!MatchesSchemeAndPort(url)) return false;
  switch (kind) {
    case Kind::kHost:
    case Kind::kAddress:
      return url.host == host;
    case Kind::kSubdomains:
      return EndsInLabel(url.host, host) && !url.host_is_ip;
    case Kind::kAnyPublic:
      return true;
    case Kind::kRange: {
      const auto ip = IpAddress::Parse(url.host);
      return ip && range.Contains(*ip);
    }
  }
  return false;
}

}  // namespace postern::policy
