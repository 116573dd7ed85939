#include "policy/rules/url.h"

#include <arpa/inet.h>

#include "ada.h"
#include "base/format.h"
#include "base/text.h"

namespace postern::policy {
namespace {

bool IsIp(const std::string& host) {
  unsigned char buffer[16];
  return ::inet_pton(AF_INET, host.c_str(), buffer) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), buffer) == 1;
}

// No name that DNS can hold: WHATWG takes "a..b" and ".a", and "a.." would be another spelling of
// a.
bool HasEmptyLabel(const std::string& host) {
  return host.starts_with('.') || host.find("..") != std::string::npos;
}

void StripHost(std::string& host) {
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (host.size() > 1 && host.back() == '.') host.pop_back();
}

}  // namespace

uint16_t DefaultPort(std::string_view scheme) {
  return scheme == "https" || scheme == "wss" ? 443 : scheme == "http" || scheme == "ws" ? 80 : 0;
}

std::string Url::HostPort() const {
  const bool v6 = host.find(':') != std::string::npos;
  const std::string shown = v6 ? fmt::format("[{}]", host) : host;
  return scheme == "dns" ? shown : fmt::format("{}:{}", shown, port);
}

std::string Url::Origin() const {
  const std::string host_port = HostPort();
  const bool usual = port == DefaultPort(scheme) && scheme != "dns";
  return fmt::format("{}://{}", scheme,
                     usual ? host_port.substr(0, host_port.rfind(':')) : host_port);
}

std::string Url::ToString() const {
  return Origin() + (DefaultPort(scheme) == 0 ? "" : path + query);
}

Result<Url> ParseUrl(std::string_view text) {
  // tcp: and dns: are not special in WHATWG terms; their host and port are read by https' rules.
  const bool tcp = text.starts_with("tcp://"), dns = text.starts_with("dns://");
  auto parsed = ada::parse<ada::url_aggregator>(tcp || dns ? fmt::format("https{}", text.substr(3))
                                                           : std::string(text));
  if (!parsed) return Error{fmt::format("not a valid URL: {}", text.substr(0, 200))};
  Url url;
  url.scheme = tcp ? "tcp:" : dns ? "dns:" : std::string(parsed->get_protocol());
  url.scheme.pop_back();
  if (!tcp && !dns && DefaultPort(url.scheme) == 0) {
    return Error{fmt::format("scheme {}: is not for the network; use http, https, ws, wss or tcp",
                             url.scheme)};
  }
  url.host = parsed->get_hostname();
  if (HasEmptyLabel(url.host))
    return Error{fmt::format("not a host name: {}", url.host.substr(0, 200))};
  StripHost(url.host);
  if (url.host.empty()) return Error{fmt::format("a URL without a host: {}", text.substr(0, 200))};
  url.host_is_ip = IsIp(url.host);
  std::string port(parsed->get_port());
  if (dns && (!port.empty() || text.substr(6).find_first_of("/?#@:") != std::string_view::npos) &&
      !(port.empty() && url.host_is_ip))
    return Error{fmt::format("a dns: URL has a host alone: {}", text.substr(0, 200))};
  if (tcp && port.empty()) {  // none, or 443, which is no port of its own for https
    if (const auto again = ada::parse<ada::url_aggregator>(fmt::format("http{}", text.substr(3)))) {
      port = again->get_port();
    }
  }
  url.port = port.empty() ? DefaultPort(url.scheme) : static_cast<uint16_t>(std::stoul(port));
  if (tcp && port.empty())
    return Error{fmt::format("a tcp: URL needs a port: {}", text.substr(0, 200))};
  if (url.port == 0 && !dns)
    return Error{fmt::format("port 0 cannot be connected to: {}", text.substr(0, 200))};
  url.path = parsed->get_pathname();
  url.query = parsed->get_search();
  // "/a?" and "/a" are two targets (RFC 9110 section 4.2.3): ada says nothing of an empty query.
  if (url.query.empty() && text.substr(0, text.find('#')).ends_with('?')) url.query = "?";
  url.has_credentials = parsed->has_credentials();
  return url;
}

Result<ProxyUrl> ParseProxyUrl(std::string_view text) {
  const auto bad = [](const std::string& why) {
    return Error{
        fmt::format("the proxy's URL {}; write http://HOST:PORT, https:// or socks5h://", why)};
  };
  const bool socks = text.starts_with("socks5h://");
  auto parsed = ada::parse<ada::url_aggregator>(socks ? fmt::format("http{}", text.substr(7))
                                                      : std::string(text));
  if (!parsed) return bad("is no URL");
  ProxyUrl url;
  url.scheme = parsed->get_protocol();
  url.scheme.pop_back();
  if (url.scheme != "http" && url.scheme != "https") {
    return bad(fmt::format("has the scheme \"{}\"", url.scheme));
  }
  if (socks) url.scheme = "socks5h";
  if (parsed->get_pathname() != "/" || !parsed->get_search().empty()) {
    return bad("has a path or a query");
  }
  url.host = parsed->get_hostname();
  StripHost(url.host);
  url.host_is_ip = IsIp(url.host);
  url.user = PercentDecode(parsed->get_username());
  url.password = PercentDecode(parsed->get_password());
  // "http://host:80" and "http://host" are the same to the parser, "socks5h://host:80" is not.
  const std::string port(parsed->get_port());
  const uint16_t usual = !socks ? DefaultPort(url.scheme) : text.ends_with(":80") ? 80 : 1080;
  url.port = port.empty() ? usual : static_cast<uint16_t>(std::stoul(port));
  if (url.port == 0) return bad("has port 0");
  return url;
}

Result<std::string> CanonicalHost(std::string_view host) {
  std::string text(host);
  unsigned char buffer[16];
  if (::inet_pton(AF_INET6, text.c_str(), buffer) == 1) text = fmt::format("[{}]", text);
  if (text.find_first_of("/?#@\\") != std::string::npos)
    return Error{fmt::format("not a host name: {}", text)};
  auto parsed = ada::parse<ada::url_aggregator>(fmt::format("http://{}/", text));
  if (!parsed || parsed->has_port()) return Error{fmt::format("not a host name: {}", text)};
  std::string canonical(parsed->get_hostname());
  const bool bad = HasEmptyLabel(canonical);
  StripHost(canonical);
  if (bad || canonical.empty()) return Error{fmt::format("not a host name: {}", text)};
  return canonical;
}

}  // namespace postern::policy
