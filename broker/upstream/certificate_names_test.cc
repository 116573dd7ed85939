#include "broker/upstream/certificate_names.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include <memory>

namespace postern::broker {
namespace {

// Of a certificate whose subjectAltName is as openssl-x509v3_config(5) writes it.
std::string NamesOf(const std::string& names) {
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), X509_free);
  if (!names.empty()) {
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    EXPECT_NE(extension, nullptr) << names;
    X509_add_ext(certificate.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  return CertificateNames(certificate.get());
}

TEST(CertificateNames, AreListed) {
  EXPECT_EQ(NamesOf(""), "");
  EXPECT_EQ(NamesOf("DNS:a.test"), "a.test");
  EXPECT_EQ(NamesOf("DNS:a.test,DNS:*.b.test,IP:127.0.0.1"), "a.test, *.b.test, 127.0.0.1");
  EXPECT_EQ(NamesOf("IP:::1,email:x@a.test,URI:https://a.test"), "::1");
  EXPECT_EQ(NamesOf("DNS:a,DNS:b,DNS:c,DNS:d,DNS:e"), "a, b, c and 2 more");
}

TEST(CertificateNames, NothingElseIsShown) {
  EXPECT_EQ(NamesOf("DNS:a\x1b[31m\xc3\xa4 b"), "a?[31m??\?b");
  EXPECT_EQ(NamesOf("DNS:" + std::string(10'000, 'x')), std::string(253, 'x'));
}

}  // namespace
}  // namespace postern::broker
