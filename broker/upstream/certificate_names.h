// CertificateNames: whom a certificate is for, as a person may read it in an error.
#pragma once

#include <openssl/x509.h>

#include <string>

namespace postern::broker {

// "a.test, *.b.test and 5 more": DNS names and IP addresses of subjectAltName (RFC 5280 4.2.1.6),
// three at most, and nothing in them that is not printable ASCII. Empty where there are none.
std::string CertificateNames(const X509* certificate);

}  // namespace postern::broker
