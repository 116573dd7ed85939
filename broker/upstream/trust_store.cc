#include "broker/upstream/trust_store.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <fstream>
#include <iterator>

#include "base/format.h"

namespace postern::broker {
namespace {

constexpr const char* kSystemBundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                          "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};

bool ReadAll(const std::string& path, std::string& out) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return false;
  out.assign(std::istreambuf_iterator<char>(file), {});
  return true;
}

}  // namespace

Result<TrustStore> TrustStore::Read(const std::string& path) {
  TrustStore store;
  if (!path.empty()) {
    if (!ReadAll(path, store.pem_))
      return SystemError(fmt::format("cannot read the certificate authorities in {}", path));
    return store;
  }
  for (const char* bundle : kSystemBundles) {
    if (ReadAll(bundle, store.pem_)) break;
  }
  return store;
}

Status TrustStore::ApplyTo(SSL_CTX* context) {
  if (!store_) {
    store_.reset(X509_STORE_new());
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
        BIO_new_mem_buf(pem_.data(), static_cast<int>(pem_.size())), BIO_free);
    if (!store_ || !bio) return Error{"out of memory for the certificate authorities"};
    while (X509* certificate = PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr)) {
      X509_STORE_add_cert(store_.get(), certificate);
      X509_free(certificate);
    }
    ERR_clear_error();  // the end of the PEM text is reported as an error
    pem_ = {};
  }
  SSL_CTX_set1_cert_store(context, store_.get());
  return Ok{};
}

}  // namespace postern::broker
