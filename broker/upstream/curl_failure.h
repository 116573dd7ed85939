// What libcurl reports, as the project's vocabulary of failure.
#pragma once

#include <curl/curl.h>

#include <string>

#include "channel/failure.h"

namespace postern::broker {

// `where`: "host:port", for the sentence. `text`: libcurl's error buffer, maybe empty. `names`:
// whom the origin's certificate is for (CertificateNames), maybe empty.
channel::Failure CurlFailure(CURL* easy, CURLcode code, const std::string& where,
                             std::string_view text, const std::string& names);

// Whether a transfer that had not come as far as its request failed by what a proxy did. TLS may
// have begun with the origin, and with the proxy itself.
bool ProxyBrokeOff(CURL* easy, CURLcode code, bool tls_began);

// Whether a transfer failed since the proxy could not connect to the address that it was given:
// another address may do.
bool ProxyCouldNotConnect(CURL* easy, CURLcode code);

}  // namespace postern::broker
