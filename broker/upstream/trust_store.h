// TrustStore: the certificate authorities that origins are checked against, read before the broker
// gives up files and parsed when the first https request needs them.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "base/result.h"

namespace postern::broker {

class TrustStore {
 public:
  // Reads PEM from `path`, or from where Debian and others keep the system's authorities when
  // empty. Without any the store is empty and every https request fails on the certificate.
  static Result<TrustStore> Read(const std::string& path);
  // Parsed once; shared with every context that it is put into.
  Status ApplyTo(SSL_CTX* context);

 private:
  struct Free {
    void operator()(X509_STORE* s) const { X509_STORE_free(s); }
  };
  std::string pem_;
  std::unique_ptr<X509_STORE, Free> store_;
};

}  // namespace postern::broker
