// Requests and responses of a host to which secrets go: what would show a secret in a form that no
// filter knows, in parts, or by its length or hash.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::policy {

// Whether a request's field of this name asks for a part of a representation, another coding or
// charset, or a hash: "range", "accept-charset", "x-ms-range" … Such fields go no further. Case,
// and "_" for "-" as gateways to CGI take it, make no difference.
bool AsksForAnotherForm(std::string_view name);

// Whether a response's field of this name tells the length or a hash of what the filter changes:
// "etag", "content-digest", "x-amz-checksum-sha256" … Such fields do not reach the guest.
bool TellsOfContent(std::string_view name);

// Why a response with this status cannot be filtered; nullopt where it can.
std::optional<std::string> UnfilterableStatus(int status);
// The same for a field, `name` in lower case.
std::optional<std::string> UnfilterableField(std::string_view name, std::string_view value);

}  // namespace postern::policy
