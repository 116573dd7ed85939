#include "broker/upstream/curl_setup.h"

#include <iterator>

#include "base/format.h"
#include "base/text.h"

namespace postern::broker {
namespace {

using Kind = UpstreamRequest::Kind;

// Beyond the policy's own, which says more: libcurl's would come first otherwise.
constexpr int64_t kConnectTimeoutSlackMs = 60'000;

template <typename Value>
void Set(CURL* easy, CURLoption option, Value value) {
  curl_easy_setopt(easy, option, value);
}

std::string ResolveEntry(const std::string& host, uint16_t port,
                         const std::vector<IpAddress>& addresses) {
  std::string entry = fmt::format("+{}:{}:", host, port);
  for (size_t i = 0; i < addresses.size(); ++i)
    entry += (i == 0 ? "" : ",") + Bracketed(addresses[i].ToString());
  return entry;
}

curl_blob Blob(const std::string& bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size(), CURL_BLOB_COPY};
}

// Else a tunnel through the proxy to the checked address; TLS and Host carry the name.
void SetUpProxy(CURL* easy, const UpstreamRequest& request, CurlLists& lists) {
  const UpstreamProxy& proxy = *request.proxy;
  const policy::ProxyUrl& url = proxy.url;
  Set(easy, CURLOPT_PROXY,
      fmt::format("{}://{}:{}", url.scheme, Bracketed(url.host), url.port).c_str());
  if (!url.user.empty() || !url.password.empty()) {
    Set(easy, CURLOPT_PROXYUSERNAME, url.user.c_str());
    Set(easy, CURLOPT_PROXYPASSWORD, url.password.c_str());
    Set(easy, CURLOPT_PROXYAUTH, static_cast<long>(CURLAUTH_BASIC));
  }
  Set(easy, CURLOPT_NOPROXY, "");
  Set(easy, CURLOPT_HTTPPROXYTUNNEL, UsesAbsoluteForm(request) ? 0L : 1L);
  Set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  Set(easy, CURLOPT_PROXY_CAINFO, static_cast<char*>(nullptr));
  Set(easy, CURLOPT_PROXY_CAPATH, static_cast<char*>(nullptr));
  Set(easy, CURLOPT_PROXY_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!url.host_is_ip) {
    lists.resolve.Append(ResolveEntry(url.host, url.port, proxy.addresses));
    Set(easy, CURLOPT_RESOLVE, lists.resolve.get());
  }
  if (request.host_is_ip || request.addresses.empty()) return;
  lists.connect_to.Append(fmt::format("{}:{}:{}:{}", request.host, request.port,
                                      Bracketed(request.addresses[0].ToString()), request.port));
  Set(easy, CURLOPT_CONNECT_TO, lists.connect_to.get());
}

void SetUpDestination(CURL* easy, const UpstreamRequest& request, CurlLists& lists) {
  if (request.proxy) return SetUpProxy(easy, request, lists);
  Set(easy, CURLOPT_PROXY, "");  // never the environment's
  if (request.host_is_ip) return;
  lists.resolve.Append(ResolveEntry(request.host, request.port, request.addresses));
  Set(easy, CURLOPT_RESOLVE, lists.resolve.get());
}

void SetUpTls(CURL* easy, const UpstreamRequest& request) {
  Set(easy, CURLOPT_CAINFO, static_cast<char*>(nullptr));
  Set(easy, CURLOPT_CAPATH, static_cast<char*>(nullptr));
  Set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (request.rule_tls == nullptr || !request.tls) return;
  const policy::RuleTls& tls = *request.rule_tls;
  if (!tls.certificate.empty()) {
    curl_blob certificate = Blob(tls.certificate), key = Blob(tls.key);
    Set(easy, CURLOPT_SSLCERT_BLOB, &certificate);
    Set(easy, CURLOPT_SSLKEY_BLOB, &key);
  }
  std::string pins;
  for (const std::string& pin : tls.pins) {  // libcurl spells "sha256//"
    fmt::format_to(std::back_inserter(pins), "{}{}/{}", pins.empty() ? "" : ";", pin.substr(0, 7),
                   pin.substr(7));
  }
  if (!pins.empty()) Set(easy, CURLOPT_PINNEDPUBLICKEY, pins.c_str());
}

void SetUpHeaders(CURL* easy, const UpstreamRequest& request, CurlLists& lists) {
  bool accepts = false;
  for (const channel::Field& f : request.fields) {
    lists.headers.Append(f.value.empty() ? fmt::format("{};", f.name)
                                         : fmt::format("{}: {}", f.name, f.value));
    accepts = accepts || EqualsIgnoringCase(f.name, "accept");
  }
  // Without it nothing waits for 100 Continue; with it the guest does, and libcurl need not.
  lists.headers.Append(request.expects_continue ? "Expect: 100-continue" : "Expect:");
  if (request.expects_continue) Set(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
  if (!accepts) lists.headers.Append("Accept:");
  Set(easy, CURLOPT_HTTPHEADER, lists.headers.get());
}

void SetUpMethod(CURL* easy, const UpstreamRequest& request) {
  const std::string& method = request.method;
  const bool sends = request.has_body || method == "POST" || method == "PUT" || method == "PATCH";
  if (!sends) {
    if (method == "HEAD") return Set(easy, CURLOPT_NOBODY, 1L);
    Set(easy, CURLOPT_HTTPGET, 1L);
    if (method != "GET") Set(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
    return;
  }
  Set(easy, CURLOPT_UPLOAD, 1L);
  Set(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
  // -1: chunked
  Set(easy, CURLOPT_INFILESIZE_LARGE,
      static_cast<curl_off_t>(request.has_body ? request.body_size.value_or(-1) : 0));
}

}  // namespace

// Whether the request goes to the proxy itself, in absolute form (RFC 9112 section 3.2.2), as many
// proxies want plain http. The proxy then goes where the target says, and puts that into Host: the
// name, which it looks up itself, or an address. A name that was looked up and checked here needs a
// tunnel, in which the checked address and the name both have a place.
bool UsesAbsoluteForm(const UpstreamRequest& request) {
  return request.proxy && request.kind == Kind::kHttp && !request.tls &&
         request.proxy->url.scheme != "socks5h" &&
         (request.host_is_ip || request.addresses.empty());
}

void SetUpTransfer(CURL* easy, const UpstreamRequest& request, CurlLists& lists) {
  Set(easy, CURLOPT_URL, request.url.c_str());
  Set(easy, CURLOPT_PATH_AS_IS, 1L);
  Set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  Set(easy, CURLOPT_NOSIGNAL, 1L);
  Set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  Set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  // Filtering a piece takes time, which other guests wait.
  Set(easy, CURLOPT_BUFFERSIZE, (request.filtered ? 32L : 128L) * 1024);
  Set(easy, CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(request.total_timeout_ms + kConnectTimeoutSlackMs));
  SetUpDestination(easy, request, lists);
  SetUpTls(easy, request);
  if (request.kind != Kind::kHttp) {
    Set(easy, CURLOPT_CONNECT_ONLY, 1L);
    Set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    if (request.kind == Kind::kTcp) Set(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
    return;
  }
  SetUpHeaders(easy, request, lists);
  SetUpMethod(easy, request);
}

std::string Bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
}

std::string UpstreamRequest::HostPort() const {
  return fmt::format("{}:{}", Bracketed(host), port);
}

}  // namespace postern::broker
