// The kinds of failures: what can go wrong with a request, once for all. From here come the codes
// of a guest's errors, the labels of metrics, the tables of docs/errors.md (./dev docs) and what
// Node calls the same (worker/runtime/build/ reads this file).
//
// A code that travels under several types of RFC 9209 has a kind for each; the first has what the
// documentation says.
#pragma once

#include <string_view>

namespace postern::channel {

struct FailureKind {
  std::string_view code;             // ERR_…: the guest's `cause.posternCode`
  std::string_view type = "";        // of RFC 9209 section 2.3; "" for what never leaves the guest
  std::string_view fetch_code = "";  // `cause.code` of fetch; "": the same as `code`
  std::string_view node_code = "";   // `code` in node:http, node:net and node:tls; "": the same
  std::string_view when = "";        // Markdown
};

inline constexpr FailureKind kErrNetworkDenied{
    .code = "ERR_NETWORK_DENIED",
    .type = "http_request_denied",
    .node_code = "EACCES",
    .when = "no permission, no rule allows it, a rule denies it, or the URL has user info"};
inline constexpr FailureKind kErrStreamDenied{
    .code = "ERR_STREAM_DENIED",
    .type = "http_request_denied",
    .node_code = "EACCES",
    .when =
        "a TCP stream to where rules allow HTTP and none a stream; `node:net` and `node:tls` "
        "speak HTTP/1.1 there ([permissions.md](permissions.md)), and what is none fails so"};
inline constexpr FailureKind kErrNoNetworkAdapter{.code = "ERR_NO_NETWORK_ADAPTER",
                                                  .type = "proxy_configuration_error",
                                                  .node_code = "ENETUNREACH",
                                                  .when = "permitted, and nothing performs it"};
inline constexpr FailureKind kErrAddressBlocked{
    .code = "ERR_ADDRESS_BLOCKED",
    .type = "destination_ip_prohibited",
    .node_code = "EACCES",
    .when = "every address of the host is private, loopback, metadata, this host's own, …"};
inline constexpr FailureKind kErrDns{
    .code = "ERR_DNS",
    .type = "dns_error",
    .fetch_code = "ENOTFOUND",
    .node_code = "ENOTFOUND",
    .when = "the name does not exist, has no address, or the resolver fails"};
inline constexpr FailureKind kErrDnsConfiguration{.code = "ERR_DNS",
                                                  .type = "proxy_configuration_error",
                                                  .fetch_code = "ENOTFOUND",
                                                  .node_code = "ENOTFOUND"};
inline constexpr FailureKind kErrDnsTimeout{
    .code = "ERR_DNS_TIMEOUT",
    .type = "dns_timeout",
    .fetch_code = "EAI_AGAIN",
    .node_code = "EAI_AGAIN",
    .when = "the resolver does not answer within `resolve_timeout`"};
inline constexpr FailureKind kErrConnectionRefused{.code = "ERR_CONNECTION_REFUSED",
                                                   .type = "connection_refused",
                                                   .fetch_code = "ECONNREFUSED",
                                                   .node_code = "ECONNREFUSED",
                                                   .when = "the port is closed"};
inline constexpr FailureKind kErrAddressUnreachable{.code = "ERR_ADDRESS_UNREACHABLE",
                                                    .type = "destination_ip_unroutable",
                                                    .fetch_code = "EHOSTUNREACH",
                                                    .node_code = "EHOSTUNREACH",
                                                    .when = "no route"};
inline constexpr FailureKind kErrConnectionTimeout{
    .code = "ERR_CONNECTION_TIMEOUT",
    .type = "connection_timeout",
    .fetch_code = "UND_ERR_CONNECT_TIMEOUT",
    .node_code = "ETIMEDOUT",
    .when = "not connected within `connect_timeout`"};
inline constexpr FailureKind kErrTlsTimeout{.code = "ERR_TLS_TIMEOUT",
                                            .type = "connection_timeout",
                                            .fetch_code = "UND_ERR_CONNECT_TIMEOUT",
                                            .node_code = "ETIMEDOUT",
                                            .when = "no handshake within `tls_timeout`"};
inline constexpr FailureKind kErrTlsCertificate{.code = "ERR_TLS_CERTIFICATE",
                                                .type = "tls_certificate_error",
                                                .when = "expired, self-signed, another host's, …"};
inline constexpr FailureKind kErrTlsPin{.code = "ERR_TLS_PIN",
                                        .type = "tls_certificate_error",
                                        .when = "the public key is none that the rule pins"};
inline constexpr FailureKind kErrTlsClientCertificate{
    .code = "ERR_TLS_CLIENT_CERTIFICATE",
    .type = "proxy_configuration_error",
    .when = "the rule's client certificate cannot be used"};
inline constexpr FailureKind kErrTlsProtocol{
    .code = "ERR_TLS_PROTOCOL", .type = "tls_protocol_error", .when = "the handshake fails"};
inline constexpr FailureKind kErrTlsAlert{
    .code = "ERR_TLS_ALERT", .type = "tls_alert_received", .when = "the origin ends the handshake"};
inline constexpr FailureKind kErrResponseTimeout{
    .code = "ERR_RESPONSE_TIMEOUT",
    .type = "http_response_timeout",
    .fetch_code = "UND_ERR_HEADERS_TIMEOUT",
    .node_code = "ETIMEDOUT",
    .when = "no complete header section within `headers_timeout`"};
inline constexpr FailureKind kErrBodyTimeout{.code = "ERR_BODY_TIMEOUT",
                                             .type = "connection_read_timeout",
                                             .fetch_code = "UND_ERR_BODY_TIMEOUT",
                                             .node_code = "ETIMEDOUT",
                                             .when = "the body stalls for `idle_timeout`"};
inline constexpr FailureKind kErrUploadTimeout{
    .code = "ERR_UPLOAD_TIMEOUT",
    .type = "connection_write_timeout",
    .when = "the origin takes nothing of the request body for `upload_timeout`"};
inline constexpr FailureKind kErrBodyUnread{
    .code = "ERR_BODY_UNREAD",
    .type = "connection_write_timeout",
    .when = "the guest reads nothing of the body for `unread_timeout`"};
inline constexpr FailureKind kErrTotalTimeout{.code = "ERR_TOTAL_TIMEOUT",
                                              .type = "http_response_timeout",
                                              .node_code = "ETIMEDOUT",
                                              .when = "not over within `total_timeout`"};
inline constexpr FailureKind kErrTotalTimeoutOfBody{
    .code = "ERR_TOTAL_TIMEOUT", .type = "connection_read_timeout", .node_code = "ETIMEDOUT"};
inline constexpr FailureKind kErrResponseIncomplete{
    .code = "ERR_RESPONSE_INCOMPLETE",
    .type = "http_response_incomplete",
    .fetch_code = "UND_ERR_SOCKET",
    .node_code = "ECONNRESET",
    .when = "closed without an answer, or the body cut short"};
inline constexpr FailureKind kErrConnectionReset{
    .code = "ERR_CONNECTION_RESET",
    .type = "connection_terminated",
    .fetch_code = "ECONNRESET",
    .node_code = "ECONNRESET",
    .when =
        "reset by the origin; or a kept connection ended under a request that is not sent "
        "again"};
inline constexpr FailureKind kErrHttpProtocol{
    .code = "ERR_HTTP_PROTOCOL",
    .type = "http_protocol_error",
    .when =
        "malformed status line, field, length, chunk; a transfer coding or another protocol "
        "(101) that nobody asked for ([http.md](http.md)); or such a request, of a client "
        "that writes it to a socket itself"};
inline constexpr FailureKind kErrContentDecoding{
    .code = "ERR_CONTENT_DECODING",
    .type = "http_response_content_coding",
    .when = "the compressed body is malformed, or coded too often"};
inline constexpr FailureKind kErrLimitOfHeaders{
    .code = "ERR_LIMIT",
    .type = "http_response_header_section_size",
    .when = "a limit of the policy; the sentence names it"};
inline constexpr FailureKind kErrLimitOfRequest{.code = "ERR_LIMIT", .type = "http_request_denied"};
inline constexpr FailureKind kErrLimitOfBody{.code = "ERR_LIMIT",
                                             .type = "http_response_body_size"};
inline constexpr FailureKind kErrLimitOfConnections{.code = "ERR_LIMIT",
                                                    .type = "connection_limit_reached"};
inline constexpr FailureKind kErrRateLimit{
    .code = "ERR_RATE_LIMIT",
    .type = "connection_limit_reached",
    .when = "more requests than `rate` allows; the sentence says when the next one may be made"};
inline constexpr FailureKind kErrAudit{
    .code = "ERR_AUDIT",
    .type = "proxy_internal_error",
    .when = "`audit: {required: true}`, and the decision cannot be recorded"};
inline constexpr FailureKind kErrProxy{
    .code = "ERR_PROXY",
    .type = "connection_refused",
    .when =
        "the proxy did not connect to the origin: it says so, breaks off, or answers what is "
        "no answer"};
inline constexpr FailureKind kErrProxyAuthentication{.code = "ERR_PROXY_AUTHENTICATION",
                                                     .type = "proxy_configuration_error",
                                                     .when = "the proxy wants other credentials"};
inline constexpr FailureKind kErrReplayMiss{
    .code = "ERR_REPLAY_MISS",
    .type = "proxy_configuration_error",
    .when =
        "the recording has no such request, and the sentence names the nearest one; or it "
        "lacks a part of the exchange, and the sentence names the entry"};
inline constexpr FailureKind kErrReplayFailed{
    .code = "ERR_REPLAY_FAILED",
    .type = "proxy_internal_error",
    .when = "the recorded request failed, in the words of the tool that recorded it"};
inline constexpr FailureKind kErrSecretCoding{
    .code = "ERR_SECRET_CODING",
    .type = "http_response_content_coding",
    .when =
        "an origin to which secrets go sent what cannot be filtered: coded, a part, or in "
        "another charset"};
inline constexpr FailureKind kErrSecretName{
    .code = "ERR_SECRET_NAME",
    .type = "http_request_denied",
    .when =
        "a secret as the name of a cookie or of a query's parameter: origins sort by names, "
        "and the order would tell it"};
inline constexpr FailureKind kErrSecretStream{
    .code = "ERR_SECRET_STREAM",
    .type = "http_request_denied",
    .when = "a TCP stream or WebSocket to a host to which secrets go: it cannot be filtered"};
inline constexpr FailureKind kErrWebSocket{
    .code = "ERR_WEBSOCKET",
    .type = "http_protocol_error",
    .when =
        "the origin does not switch to WebSocket, switches to another protocol or by another "
        "key, chooses an extension or a subprotocol that was not offered, or breaks its "
        "protocol"};
inline constexpr FailureKind kErrWebSocketRequest{.code = "ERR_WEBSOCKET",
                                                  .type = "http_request_denied"};
inline constexpr FailureKind kErrSocketState{
    .code = "ERR_SOCKET_STATE",
    .type = "http_request_denied",
    .when = "startTls on what is no plain TCP stream (any more)"};
inline constexpr FailureKind kErrAborted{
    .code = "ERR_ABORTED",
    .type = "connection_terminated",
    .when = "in the audit log only: the guest ended the request"};
inline constexpr FailureKind kErrRedirect{.code = "ERR_REDIRECT",
                                          .when = "a redirect that must not or cannot be followed"};
inline constexpr FailureKind kErrIntegrity{
    .code = "ERR_INTEGRITY", .when = "the body is not what the request's `integrity` says"};
inline constexpr FailureKind kErrInvalidHeader{
    .code = "ERR_INVALID_HEADER", .when = "a header has a control character, which cannot be sent"};
inline constexpr FailureKind kErrUnsupportedScheme{.code = "ERR_UNSUPPORTED_SCHEME",
                                                   .when = "none of http, https, data and blob"};
inline constexpr FailureKind kErrBrokerConnections{
    .code = "ERR_BROKER_RESOURCES",
    .type = "connection_limit_reached",
    .when = "the broker has no descriptor or memory left"};
inline constexpr FailureKind kErrBrokerResources{.code = "ERR_BROKER_RESOURCES",
                                                 .type = "proxy_internal_error"};
inline constexpr FailureKind kErrBrokerLost{
    .code = "ERR_BROKER_LOST",
    .type = "proxy_internal_error",
    .when = "the broker died or stopped answering; the request was not repeated"};
inline constexpr FailureKind kErrClientGone{
    .code = "ERR_CLIENT_GONE",
    .type = "connection_terminated",
    .when = "in a handler: the client of the request has gone"};
inline constexpr FailureKind kErrResponse{.code = "ERR_RESPONSE",
                                          .type = "proxy_internal_error",
                                          .when = "in a handler: the response cannot be sent"};

// All of them, in the order of docs/errors.md.
inline constexpr const FailureKind* kFailureKinds[] = {&kErrNetworkDenied,
                                                       &kErrStreamDenied,
                                                       &kErrNoNetworkAdapter,
                                                       &kErrAddressBlocked,
                                                       &kErrDns,
                                                       &kErrDnsConfiguration,
                                                       &kErrDnsTimeout,
                                                       &kErrConnectionRefused,
                                                       &kErrAddressUnreachable,
                                                       &kErrConnectionTimeout,
                                                       &kErrTlsTimeout,
                                                       &kErrTlsCertificate,
                                                       &kErrTlsPin,
                                                       &kErrTlsClientCertificate,
                                                       &kErrTlsProtocol,
                                                       &kErrTlsAlert,
                                                       &kErrResponseTimeout,
                                                       &kErrBodyTimeout,
                                                       &kErrUploadTimeout,
                                                       &kErrBodyUnread,
                                                       &kErrTotalTimeout,
                                                       &kErrTotalTimeoutOfBody,
                                                       &kErrResponseIncomplete,
                                                       &kErrConnectionReset,
                                                       &kErrHttpProtocol,
                                                       &kErrContentDecoding,
                                                       &kErrLimitOfHeaders,
                                                       &kErrLimitOfRequest,
                                                       &kErrLimitOfBody,
                                                       &kErrLimitOfConnections,
                                                       &kErrRateLimit,
                                                       &kErrAudit,
                                                       &kErrProxy,
                                                       &kErrProxyAuthentication,
                                                       &kErrReplayMiss,
                                                       &kErrReplayFailed,
                                                       &kErrSecretCoding,
                                                       &kErrSecretName,
                                                       &kErrSecretStream,
                                                       &kErrWebSocket,
                                                       &kErrWebSocketRequest,
                                                       &kErrSocketState,
                                                       &kErrAborted,
                                                       &kErrRedirect,
                                                       &kErrIntegrity,
                                                       &kErrInvalidHeader,
                                                       &kErrUnsupportedScheme,
                                                       &kErrBrokerConnections,
                                                       &kErrBrokerResources,
                                                       &kErrBrokerLost,
                                                       &kErrClientGone,
                                                       &kErrResponse};

// The first of that code; null where there is none.
constexpr const FailureKind* FindFailureKind(std::string_view code) {
  for (const FailureKind* kind : kFailureKinds) {
    if (kind->code == code) return kind;
  }
  return nullptr;
}

}  // namespace postern::channel
