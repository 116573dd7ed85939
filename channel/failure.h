// Failure: the project's one vocabulary of what can go wrong with a request.
//
// A failure travels from broker to guest as Proxy-Status (RFC 9209): in the response's fields, or
// in the trailers of a body that broke midway. The guest shows `code` as the error's cause.code.
// Where RFC 9209 has one word for what a person must tell apart, the extension parameter "code"
// does.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "channel/failure_kinds.h"
#include "channel/fields.h"

namespace postern::channel {

struct Failure {
  Failure() = default;
  Failure(const FailureKind& kind, std::string why)
      : error(kind.type), code(kind.code), details(std::move(why)) {}
  // One that was received, or whose code is of another table.
  Failure(std::string type, std::string its_code, std::string why)
      : error(std::move(type)), code(std::move(its_code)), details(std::move(why)) {}

  std::string error;    // RFC 9209 section 2.3 error type
  std::string code;     // ERR_… (channel/failure_kinds.h)
  std::string details;  // a sentence a person can act on
};

inline constexpr std::string_view kNoAdapter =
    "network permitted but no host network adapter configured";

// "postern; error=…; code=…; details="…"", an RFC 8941 item with parameters.
std::string FormatProxyStatus(const Failure& failure);
std::optional<Failure> ParseProxyStatus(std::string_view value);

// The fields of a response that reports `failure`: :status 502 (403 for a refusal) and
// proxy-status.
Fields FailureResponse(const Failure& failure);

}  // namespace postern::channel
