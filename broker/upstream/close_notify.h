// Whether the peer of a TLS connection has said that nothing follows (close_notify, RFC 8446
// section 6.1). libcurl takes the end of a connection without it for the end of a response.
#pragma once

#include <openssl/ssl.h>

#include <memory>

namespace postern::broker {

// Becomes true once it has; may outlive the connection. Always the same for one connection.
std::shared_ptr<const bool> WatchCloseNotify(SSL* connection);

}  // namespace postern::broker
