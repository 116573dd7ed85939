// Url: the one URL parser of Postern (WHATWG URL, by ada), for the guest's URL class and for the
// broker's decisions, so that no difference between two parsers can be used to slip through.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postern::policy {

// A parsed, canonical URL of scheme http, https, ws, wss, tcp or dns ("dns://host": its addresses).
struct Url {
  std::string scheme;  // without the colon
  std::string host;    // lower case, punycode, no brackets, no trailing dot; IPs in canonical form
  bool host_is_ip = false;
  uint16_t port = 0;  // the effective one; 0 for dns
  std::string path;   // percent-encoded, dot segments resolved; begins with '/'
  std::string query;  // with the '?', or empty
  bool has_credentials = false;

  std::string HostPort() const;  // "host:port", IPv6 in brackets; for dns the host alone
  // "scheme://host[:port]", without a usual port.
  std::string Origin() const;
  std::string ToString() const;  // with path and query, which tcp and dns have none of
};

// Fails with a sentence for what is no URL, has another scheme, or has port 0.
Result<Url> ParseUrl(std::string_view text);

// A proxy's URL: http, https or socks5h, with a port (default: 80, 443, 1080), with or without user
// info, without a path.
struct ProxyUrl {
  std::string scheme, host, user, password;
  uint16_t port = 0;
  bool host_is_ip = false;
};
Result<ProxyUrl> ParseProxyUrl(std::string_view text);

// The port of a scheme without one: 443 of https and wss, 80 of http and ws, 0 of others.
uint16_t DefaultPort(std::string_view scheme);

// The canonical form of a host alone ("EXAMPLE.com.", "0x7f.1", "[::1]"), as in Url::host.
Result<std::string> CanonicalHost(std::string_view host);

}  // namespace postern::policy
