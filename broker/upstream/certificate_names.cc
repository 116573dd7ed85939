#include "broker/upstream/certificate_names.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "base/format.h"

namespace postern::broker {
namespace {

constexpr size_t kMostNames = 3;
constexpr int kMostBytes = 253;  // of a name: what DNS has

std::string Text(const ASN1_STRING* string) {
  const auto* bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(string));
  std::string text(bytes, static_cast<size_t>(std::min(ASN1_STRING_length(string), kMostBytes)));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c <= ' ' || c > '~'; }, '?');
  return text;
}

std::string Address(const ASN1_STRING* string) {
  const int family = ASN1_STRING_length(string) == 4    ? AF_INET
                     : ASN1_STRING_length(string) == 16 ? AF_INET6
                                                        : AF_UNSPEC;
  char text[INET6_ADDRSTRLEN];
  if (family == AF_UNSPEC ||
      ::inet_ntop(family, ASN1_STRING_get0_data(string), text, sizeof text) == nullptr)
    return {};
  return text;
}

}  // namespace

std::string CertificateNames(const X509* certificate) {
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  std::string text;
  size_t count = 0;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    const std::string one = name->type == GEN_DNS     ? Text(name->d.dNSName)
                            : name->type == GEN_IPADD ? Address(name->d.iPAddress)
                                                      : "";
    if (one.empty() || ++count > kMostNames) continue;
    text += (text.empty() ? "" : ", ") + one;
  }
  if (count > kMostNames)
    fmt::format_to(std::back_inserter(text), " and {} more", count - kMostNames);
  return text;
}

}  // namespace postern::broker
