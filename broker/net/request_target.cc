#include "broker/net/request_target.h"

#include "base/format.h"
#include "channel/postern_fields.h"

namespace postern::broker {
namespace {

using channel::Fields;
using channel::FindField;

std::optional<std::string> ParseUrl(const std::string& text, RequestTarget& target) {
  auto url = policy::ParseUrl(text);
  if (!url) return url.error().message;
  if (url->has_credentials) {
    return fmt::format("a URL with user info is refused{}",
                       target.kind == RequestKind::kHttp ? "; send an Authorization header" : "");
  }
  target.url = *std::move(url);
  return std::nullopt;
}

bool IsHttpScheme(const std::string* scheme) {
  return scheme != nullptr && (*scheme == "http" || *scheme == "https");
}

std::optional<std::string> ReadConnect(const Fields& fields, RequestTarget& target) {
  const std::string* authority = FindField(fields, ":authority");
  if (authority == nullptr) return "CONNECT needs a host and a port";
  target.kind = RequestKind::kTcp;
  const std::string* protocol = FindField(fields, ":protocol");
  if (protocol == nullptr) {
    const std::string* tls = FindField(fields, channel::kTls);
    target.tls = tls != nullptr && *tls == "on";
    return ParseUrl(fmt::format("tcp://{}", *authority), target);
  }
  const std::string* scheme = FindField(fields, ":scheme");
  const std::string* path = FindField(fields, ":path");
  if (*protocol != "websocket" || path == nullptr || !IsHttpScheme(scheme))
    return "CONNECT is for TCP streams and WebSockets";
  target.kind = RequestKind::kWebSocket;
  target.method = "GET";
  target.tls = *scheme == "https";
  return ParseUrl(fmt::format("{}://{}{}", target.tls ? "wss" : "ws", *authority, *path), target);
}

}  // namespace

std::optional<std::string> ReadRequestTarget(const Fields& fields, RequestTarget& target) {
  const std::string* method = FindField(fields, ":method");
  const std::string* scheme = FindField(fields, ":scheme");
  const std::string* authority = FindField(fields, ":authority");
  const std::string* path = FindField(fields, ":path");
  if (method != nullptr) target.method = *method;
  if (target.method == "CONNECT") return ReadConnect(fields, target);
  if (scheme != nullptr && *scheme == "dns" && authority != nullptr) {
    target.kind = RequestKind::kLookup;
    target.method = "LOOKUP";
    return ParseUrl(fmt::format("dns://{}", *authority), target);
  }
  if (target.method.empty() || target.method == "TRACE" || target.method == "TRACK")
    return "the method is not allowed";
  if (authority == nullptr || path == nullptr || !IsHttpScheme(scheme))
    return "a request needs an http or https URL";
  target.tls = *scheme == "https";
  return ParseUrl(fmt::format("{}://{}{}", *scheme, *authority, *path), target);
}

}  // namespace postern::broker
