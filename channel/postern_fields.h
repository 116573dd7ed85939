// Fields of Postern's own on a guest's network channel: what travels there besides HTTP's own
// semantics. worker/runtime/ writes and reads the same names.
//
// HTTP/2 knows names in lower case only, and no version or address of an origin. A client that sees
// the wire (node:http) gets them by kRaw.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::channel {

// ---- of requests

// "on": the response is to have kNames, kConnection and kUpgraded.
inline constexpr char kRaw[] = "postern-raw";
// "on": a TCP stream has TLS from its first byte on.
inline constexpr char kTls[] = "postern-tls";
// The :protocol of a request that begins TLS on the stream that its :path names, and the name that
// the certificate must have.
inline constexpr char kStartTls[] = "postern-starttls";
inline constexpr char kTlsHost[] = "postern-host";
// Of a request that the guest answers: the client's address.
inline constexpr char kRemote[] = "postern-remote";

// ---- of requests and responses

// The names that are not in lower case, with commas; of a response those of all its fields, in
// their order, or nothing where all are in lower case.
inline constexpr char kNames[] = "postern-names";

// ---- of responses

// An origin's Content-Length: under its own name a body that is cut short would be an HTTP/2 stream
// error without a cause (RFC 9113 section 8.1.1).
inline constexpr char kContentLength[] = "postern-content-length";
// The reason phrase, escaped (channel/fields.h).
inline constexpr char kStatusText[] = "postern-status-text";
// "VERSION ADDRESS PORT", the last two missing where a proxy looked the name up.
inline constexpr char kConnection[] = "postern-connection";
// "on": after a 101 the body is the other protocol's bytes.
inline constexpr char kUpgraded[] = "postern-upgraded";

// The names in a kNames.
inline std::vector<std::string_view> SplitNames(std::string_view names) {
  std::vector<std::string_view> out;
  while (!names.empty()) {
    const size_t comma = names.find(',');
    out.push_back(names.substr(0, comma));
    names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  }
  return out;
}

}  // namespace postern::channel
