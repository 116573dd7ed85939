// RequestTarget: what a guest's request is for, read from its pseudo-header fields alone.
#pragma once

#include <optional>
#include <string>

#include "channel/fields.h"
#include "policy/rules/url.h"

namespace postern::broker {

enum class RequestKind { kHttp, kWebSocket, kTcp, kLookup };

struct RequestTarget {
  RequestKind kind = RequestKind::kHttp;
  std::string method;  // of a WebSocket "GET", of a look-up "LOOKUP"
  policy::Url url;     // http, https, ws, wss, tcp or dns
  bool tls = false;    // from the first byte on
};

// Fills in `target`. A sentence where it is refused: `target` then has what could be read.
//   http, https   the fields of RFC 9113 section 8.3.1; no TRACE or TRACK, no user info
//   TCP stream    CONNECT (section 8.5); TLS where channel::kTls is "on"
//   WebSocket     extended CONNECT (RFC 8441)
//   look-up       any method with the scheme "dns"
std::optional<std::string> ReadRequestTarget(const channel::Fields& fields, RequestTarget& target);

}  // namespace postern::broker
