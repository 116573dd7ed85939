#include "broker/upstream/tunnel.h"

#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <boost/asio/ssl/stream.hpp>

#include "base/base64.h"
#include "base/format.h"
#include "broker/upstream/certificate_names.h"

namespace postern::broker {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;
using channel::Failure;

constexpr size_t kReadBytes = 64 * 1024;

Failure Reset(const std::string& where) {
  return {channel::kErrConnectionReset, fmt::format("{} reset the connection", where)};
}

std::string PinOf(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return {};
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(der, static_cast<size_t>(size), hash);
  OPENSSL_free(der);
  return fmt::format("sha256/{}", EncodeBase64({reinterpret_cast<const char*>(hash), sizeof hash}));
}

bool Pinned(SSL* connection, const std::vector<std::string>& pins) {
  if (pins.empty()) return true;
  X509* certificate = SSL_get_peer_certificate(connection);
  const std::string pin = certificate == nullptr ? "" : PinOf(certificate);
  X509_free(certificate);
  return std::find(pins.begin(), pins.end(), pin) != pins.end();
}

Failure HandshakeFailure(SSL* connection, const std::string& where, const error_code& error) {
  const long verified = SSL_get_verify_result(connection);
  if (verified != X509_V_OK) {
    const bool other =
        verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH;
    X509* certificate = SSL_get_peer_certificate(connection);
    const std::string names = other && certificate != nullptr ? CertificateNames(certificate) : "";
    X509_free(certificate);
    return {channel::kErrTlsCertificate,
            fmt::format("the certificate of {} is not accepted: {}", where,
                        names.empty() ? X509_verify_cert_error_string(verified)
                                      : fmt::format("it is for {}", names))};
  }
  return {channel::kErrTlsProtocol,
          fmt::format("the TLS handshake with {} failed: {}", where, error.message())};
}

}  // namespace

Tunnel::Tunnel(asio::io_context& io, CURL* easy, bool secure, std::string where, Callbacks events)
    : stream_(io, easy, secure), where_(std::move(where)), events_(std::move(events)) {}

void Tunnel::Pause(bool paused) {
  paused_ = paused;
  if (!paused && !reading_ && !closed_) Read();
}

void Tunnel::Close() {
  closed_ = true;
  stream_.Close();
}

void Tunnel::End(std::optional<Failure> failure) {
  if (closed_) return;
  const auto self = shared_from_this();  // its owner lets go of it now
  Close();
  events_.ended(std::move(failure));
}

struct TcpTunnel::Tls {
  ssl::context context{ssl::context::tls_client};
  std::optional<ssl::stream<CurlStream&>> stream;  // made when the context is set up
};

TcpTunnel::TcpTunnel(asio::io_context& io, CURL* easy, bool secure, std::string where,
                     Callbacks events)
    : Tunnel(io, easy, secure, std::move(where), std::move(events)) {}

TcpTunnel::~TcpTunnel() = default;

void TcpTunnel::Start() {
  events().open({{":status", "200"}});
  Read();
}

void TcpTunnel::Read() {
  if (closed() || reading_ || paused() || handshaking_ || begin_tls_) return;
  reading_ = true;
  buffer_.resize(kReadBytes);
  secure() ? ReadFrom(*tls_->stream) : ReadFrom(stream());
}

template <typename Stream>
void TcpTunnel::ReadFrom(Stream& from) {
  from.async_read_some(asio::buffer(buffer_),
                       [this, self = shared_from_this()](const error_code& error, size_t n) {
                         reading_ = false;
                         if (closed()) return;
                         if (n > 0) events().data({buffer_.data(), n});
                         if (closed()) return;
                         if (begin_tls_) return BeginTls();
                         // An origin that leaves without TLS's goodbye cut the stream short for all
                         // we know; many do, and a database protocol tells its own end.
                         if (error == asio::error::eof || error == ssl::error::stream_truncated) {
                           return End(std::nullopt);
                         }
                         if (error) return End(Reset(where()));
                         Read();
                       });
}

void TcpTunnel::Send(std::string_view bytes) {
  (begin_tls_ || handshaking_ ? after_tls_ : pending_) += bytes;
  Write();
}

void TcpTunnel::EndSending() {
  ended_sending_ = true;
  Write();
}

void TcpTunnel::Write() {
  if (closed() || !writing_.empty() || handshaking_) return;
  if (pending_.empty() && begin_tls_) return BeginTls();
  if (pending_.empty()) {
    if (ended_sending_ && !secure()) stream().ShutdownWrite();
    return;
  }
  writing_ = std::exchange(pending_, {});
  secure() ? WriteTo(*tls_->stream) : WriteTo(stream());
}

template <typename Stream>
void TcpTunnel::WriteTo(Stream& to) {
  to.async_write_some(asio::buffer(writing_),
                      [this, self = shared_from_this()](const error_code& error, size_t n) {
                        if (closed()) return;
                        if (error && error != asio::error::operation_aborted)
                          return End(Reset(where()));
                        writing_.erase(0, n);
                        if (n > 0) events().sent(n);
                        if (closed()) return;
                        pending_.insert(0, std::exchange(writing_, {}));
                        Write();
                      });
}

std::optional<Failure> TcpTunnel::SetUpTls(const LaterTls& later) {
  tls_ = std::make_unique<Tls>();
  SSL_CTX* context = tls_->context.native_handle();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  if (const Status s = later.store.ApplyTo(context); !s) {
    return Failure{channel::kErrBrokerResources, s.error().message};
  }
  error_code error;
  if (later.rule != nullptr && !later.rule->certificate.empty()) {
    tls_->context.use_certificate_chain(asio::buffer(later.rule->certificate), error);
    if (!error) {
      tls_->context.use_private_key(asio::buffer(later.rule->key), ssl::context::pem, error);
    }
    if (error) {
      return Failure{channel::kErrTlsClientCertificate,
                     fmt::format("the client certificate for {} cannot be used: {}", where(),
                                 error.message())};
    }
  }
  tls_->stream.emplace(stream(), tls_->context);
  SSL* connection = tls_->stream->native_handle();
  SSL_set_verify(connection, SSL_VERIFY_PEER, nullptr);
  if (IpAddress::Parse(later.host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), later.host.c_str());
  } else {
    SSL_set1_host(connection, later.host.c_str());
    SSL_set_tlsext_host_name(connection, later.host.c_str());
  }
  return std::nullopt;
}

void TcpTunnel::StartTls(const LaterTls& later, TlsDone done) {
  if (tls_) {
    return done(Failure{channel::kErrSocketState, "TLS has begun on this stream already"});
  }
  if (auto failure = SetUpTls(later)) {
    done(*failure);
    return End(std::move(failure));
  }
  const auto pins = later.rule == nullptr ? std::vector<std::string>{} : later.rule->pins;
  begin_tls_ = [this, pins, done = std::move(done)] {
    handshaking_ = true;
    tls_->stream->async_handshake(
        ssl::stream_base::client,
        [this, pins, done, self = shared_from_this()](const error_code& error) {
          if (closed()) return;
          handshaking_ = false;
          SSL* connection = tls_->stream->native_handle();
          std::optional<Failure> failure;
          if (error) {
            failure = HandshakeFailure(connection, where(), error);
          } else if (!Pinned(connection, pins)) {
            failure =
                Failure{channel::kErrTlsPin,
                        fmt::format("the public key of {} is none that its rule pins", where())};
          }
          done(failure);
          if (failure) return End(std::move(failure));
          secured_ = true;
          pending_ = std::exchange(after_tls_, {});
          Read();
          Write();
        });
  };
  Write();
}

// Once everything before is written. The read that waits on the plain stream is ended first: it
// would take the handshake's bytes.
void TcpTunnel::BeginTls() {
  if (!writing_.empty() || !pending_.empty()) return;
  if (reading_) return stream().CancelWaits();
  std::exchange(begin_tls_, nullptr)();
}

}  // namespace postern::broker
