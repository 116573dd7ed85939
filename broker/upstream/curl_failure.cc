#include "broker/upstream/curl_failure.h"

#include <openssl/x509.h>

#include <cerrno>
#include <cstring>

#include "base/format.h"

namespace postern::broker {
namespace {

using channel::Failure;

bool Mentions(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

Failure ConnectFailure(CURL* easy, const std::string& where) {
  long error = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
  switch (error) {
    case ECONNREFUSED:
      return {channel::kErrConnectionRefused, fmt::format("{} refused the connection", where)};
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return {channel::kErrAddressUnreachable, fmt::format("{} cannot be reached: {}", where,
                                                           std::strerror(static_cast<int>(error)))};
    case ETIMEDOUT:
      return {channel::kErrConnectionTimeout, fmt::format("connecting to {} took too long", where)};
    default:
      return {channel::kErrConnectionRefused,
              fmt::format(
                  "cannot connect to {}{}", where,
                  error != 0 ? fmt::format(": {}", std::strerror(static_cast<int>(error))) : "")};
  }
}

Failure CertificateFailure(CURL* easy, const std::string& where, std::string_view text,
                           const std::string& names) {
  long verify = X509_V_OK;
  curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verify);
  // What libcurl says of names it says before it asks OpenSSL.
  const bool of_names = verify == X509_V_OK || verify == X509_V_ERR_UNSPECIFIED;
  const std::string why = !of_names       ? X509_verify_cert_error_string(verify)
                          : names.empty() ? std::string(text)
                                          : fmt::format("it is for {}", names);
  return {channel::kErrTlsCertificate,
          fmt::format("the certificate of {} is not accepted: {}", where, why)};
}

Failure TlsFailure(const std::string& where, std::string_view text) {
  if (Mentions(text, "alert")) {
    return {channel::kErrTlsAlert, fmt::format("{} ended the TLS handshake: {}", where, text)};
  }
  return {channel::kErrTlsProtocol,
          fmt::format("the TLS handshake with {} failed: {}", where, text)};
}

// What an HTTP proxy answered to CONNECT; 0 without one.
long ConnectStatus(CURL* easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
  return status;
}

Failure ProxyFailure(CURL* easy, const std::string& where, std::string_view text) {
  const long status = ConnectStatus(easy);
  if (status == 407) {
    return {channel::kErrProxyAuthentication,
            "the proxy wants other credentials than the policy's"};
  }
  if (status != 0) {
    return {channel::kErrProxy,
            fmt::format(
                "the proxy did not connect to {}: it answered {}{}", where, status,
                status == 403 || status == 405
                    ? "; names that are checked here are reached by CONNECT: let the proxy allow "
                      "that to this port, or hand names over to it (resolve: remote)"
                    : "")};
  }
  long code = 0;
  curl_easy_getinfo(easy, CURLINFO_PROXY_ERROR, &code);
  switch (code) {
    case CURLPX_REPLY_CONNECTION_REFUSED:
      return {channel::kErrConnectionRefused,
              fmt::format("{} refused the proxy's connection", where)};
    case CURLPX_REPLY_HOST_UNREACHABLE:
    case CURLPX_REPLY_NETWORK_UNREACHABLE:
      return {channel::kErrAddressUnreachable,
              fmt::format("{} cannot be reached from the proxy", where)};
    case CURLPX_NO_AUTH:
    case CURLPX_USER_REJECTED:
      return {channel::kErrProxyAuthentication,
              "the proxy wants other credentials than the policy's"};
    default:
      return {channel::kErrProxy, fmt::format("the proxy did not connect to {}: {}", where, text)};
  }
}

}  // namespace

bool ProxyCouldNotConnect(CURL* easy, CURLcode code) {
  const long status = ConnectStatus(easy);
  if (code == CURLE_RECV_ERROR || code == CURLE_COULDNT_CONNECT) return status >= 500;
  if (code != CURLE_PROXY) return false;
  long why = 0;
  curl_easy_getinfo(easy, CURLINFO_PROXY_ERROR, &why);
  return status >= 500 || why == CURLPX_REPLY_CONNECTION_REFUSED ||
         why == CURLPX_REPLY_HOST_UNREACHABLE || why == CURLPX_REPLY_NETWORK_UNREACHABLE ||
         why == CURLPX_REPLY_TTL_EXPIRED || why == CURLPX_REPLY_GENERAL_SERVER_FAILURE;
}

bool ProxyBrokeOff(CURL* easy, CURLcode code, bool tls_began) {
  const long status = ConnectStatus(easy);
  if (tls_began && status >= 200 && status < 300) return false;
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_OUT_OF_MEMORY:
      return false;
    default:
      return true;
  }
}

Failure CurlFailure(CURL* easy, CURLcode code, const std::string& where, std::string_view text,
                    const std::string& names) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
      return ConnectFailure(easy, where);
    case CURLE_PEER_FAILED_VERIFICATION:
      return CertificateFailure(easy, where, text, names);
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return {channel::kErrTlsPin,
              fmt::format("the public key of {} is none that its rule pins", where)};
    case CURLE_SSL_CERTPROBLEM:
      return {channel::kErrTlsClientCertificate,
              fmt::format("the client certificate for {} cannot be used: {}", where, text)};
    case CURLE_PROXY:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return ProxyFailure(easy, where, text);
    case CURLE_SSL_CONNECT_ERROR:
      return TlsFailure(where, text);
    case CURLE_GOT_NOTHING:
      return {channel::kErrResponseIncomplete,
              fmt::format("{} closed the connection without an answer", where)};
    case CURLE_PARTIAL_FILE:
      return {channel::kErrResponseIncomplete,
              fmt::format("the response of {} was cut short", where)};
    case CURLE_RECV_ERROR:
      if (ConnectStatus(easy) >= 300) return ProxyFailure(easy, where, text);
      if (Mentions(text, "alert")) return TlsFailure(where, text);  // TLS 1.3: after the handshake
      if (Mentions(text, "hunk") || Mentions(text, "hexadecimal")) break;
      return {channel::kErrConnectionReset, fmt::format("{} reset the connection", where)};
    case CURLE_SEND_ERROR:
      return {channel::kErrConnectionReset,
              fmt::format("{} reset the connection while the request was sent", where)};
    case CURLE_SEND_FAIL_REWIND:
      return {channel::kErrConnectionReset,
              fmt::format("{} closed a kept connection; the request's body cannot be sent again",
                          where)};
    case CURLE_OUT_OF_MEMORY:
      return {channel::kErrBrokerResources, "the broker is out of memory"};
    default:
      break;
  }
  return {channel::kErrHttpProtocol, fmt::format("the answer of {} is not valid HTTP: {}", where,
                                                 text.empty() ? curl_easy_strerror(code) : text)};
}

}  // namespace postern::broker
