// Upstream: how a guest's request reaches its origin, and what of the origin comes back. What may
// be asked for, where connections may go and what of a response is let through is decided above
// (broker/net): this connects, speaks TLS and HTTP, and says how it went.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip_address.h"
#include "broker/upstream/tunnel.h"
#include "channel/failure.h"
#include "channel/fields.h"
#include "policy/policy.h"
#include "policy/rules/url.h"

namespace postern::broker {

// A host as it stands before a port: "[::1]" for IPv6, else the same.
std::string Bracketed(const std::string& host);

struct UpstreamProxy {
  policy::ProxyUrl url;
  std::vector<IpAddress> addresses;  // of it; connections go to these only
};

struct UpstreamRequest {
  // But for HTTP a connection is all that is made: what runs over it is a tunnel.
  enum class Kind { kHttp, kWebSocket, kTcp };
  Kind kind = Kind::kHttp;
  std::string method;
  std::string url;  // http or https, with the port and, in their places, the secrets
  // The origin, and whether it speaks TLS from the first byte on.
  std::string host;
  uint16_t port = 0;
  bool host_is_ip = false, tls = false;
  // Of it, those that the guard let through; none where a proxy looks the name up.
  std::vector<IpAddress> addresses;
  std::optional<UpstreamProxy> proxy;
  const policy::RuleTls* rule_tls = nullptr;  // client certificate and pins; outlives the exchange
  channel::Fields fields;                     // with names as they are to be written
  bool has_body = false;
  std::optional<int64_t> body_size;  // bytes; chunked without it
  bool expects_continue = false;     // the body waits for 100
  bool filtered = false;             // what comes back takes time: it comes in smaller pieces
  int64_t header_bytes = 0, total_timeout_ms = 0;  // limits of the policy

  std::string HostPort() const;  // "host:port", IPv6 in brackets
};

// Who answers.
struct UpstreamPeer {
  std::string address;  // that is connected to, of the origin or of a proxy
  int port = 0;
  std::optional<IpAddress> origin = {};  // that a proxy was asked to connect to
  std::string tls_version = {};          // "TLSv1.3"; empty without TLS
  bool proxy_answers = false;            // it gets the request itself: a 407 is its own
};

// What is known of the response, for the judgement on how it ended.
struct ResponseShape {
  bool begun = false;  // its head is complete
  std::optional<std::string> content_length;
  bool ends_with_connection = false;  // nothing but that says where its body ends
};

// Milliseconds since the exchange was started; 0 for what did not happen.
struct UpstreamTimes {
  double connected = 0, secured = 0, first_byte = 0;
};

// Whom an exchange is for. No call but OnEnded and OnConnection may end the exchange.
class UpstreamObserver {
 public:
  virtual ~UpstreamObserver() = default;

  // The guard: asked before a connection is made, and before a kept one is used.
  virtual bool MayConnect(const IpAddress& address) = 0;
  virtual void OnConnecting() = 0;  // again for each address that a proxy is asked for
  virtual void OnTlsStart() = 0;
  virtual void OnConnected(const UpstreamPeer& peer) = 0;
  // Fills in what there is of the request's body. 0 bytes: none for now, or the end.
  virtual size_t ReadUpload(std::span<char> out, bool* end) = 0;
  // A line of a head or of trailers, with its end. kEnough: the response is complete with it.
  enum class LineTaken { kTaken, kEnough, kRefused };
  virtual LineTaken OnHeaderLine(std::string_view line) = 0;
  // kFull: nothing of it is taken, until ResumeBody.
  enum class BodyTaken { kTaken, kFull, kRefused };
  virtual BodyTaken OnBody(std::string_view bytes) = 0;
  virtual ResponseShape Shape() const = 0;
  // For what is not HTTP: the connection stands.
  virtual void OnConnection() = 0;
  // It is over: well, or by a failure; where the observer refused something, by that. Called once.
  virtual void OnEnded(std::optional<channel::Failure> failure) = 0;
};

// One exchange. Ends without a call where it is destroyed.
class UpstreamExchange {
 public:
  virtual ~UpstreamExchange() = default;

  virtual void ResumeUpload() = 0;  // there is more, or its end
  virtual void ResumeBody() = 0;
  // The connection serves no other request.
  virtual void ForbidReuse() = 0;
  virtual UpstreamTimes Times() const = 0;
  // What runs over the connection, which stays the exchange's. Once, after OnConnection.
  virtual std::shared_ptr<TcpTunnel> OpenStream(Tunnel::Callbacks callbacks) = 0;
  // `messages`: else the guest reads and writes them itself.
  virtual std::shared_ptr<Tunnel> OpenWebSocket(Tunnel::Callbacks callbacks, bool messages,
                                                UpgradeRequest request,
                                                const policy::NetworkLimits& limits) = 0;
};

// Makes exchanges, and keeps their connections for the next ones: one a guest.
class Upstream {
 public:
  virtual ~Upstream() = default;
  // `observer` outlives the exchange. Null where there is no memory for it.
  virtual std::unique_ptr<UpstreamExchange> Start(UpstreamRequest request,
                                                  UpstreamObserver& observer) = 0;
};

}  // namespace postern::broker
