#include "broker/upstream/curl_exchange.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/format.h"
#include "broker/upstream/certificate_names.h"
#include "broker/upstream/close_notify.h"
#include "broker/upstream/curl_failure.h"
#include "broker/upstream/curl_setup.h"
#include "broker/upstream/http_fields.h"
#include "loop/owner.h"

namespace postern::broker {
namespace {

using channel::Failure;
using Kind = UpstreamRequest::Kind;

// How long a request goes on being sent whose response is there, while nothing of it moves.
constexpr std::chrono::milliseconds kUploadMovesWithin(250);

class CurlExchange : public UpstreamExchange {
 public:
  CurlExchange(boost::asio::io_context& io, TrustStore& trust, CurlMulti& multi,
               UpstreamRequest request, UpstreamObserver& observer)
      : io_(io), trust_(trust), multi_(multi), request_(std::move(request)), observer_(observer) {}
  ~CurlExchange() override {
    owner_.Leave();
    Stop();
  }

  // False where there is no memory for it.
  bool Start();

  void ResumeUpload() override;
  void ResumeBody() override;
  void ForbidReuse() override { Set(CURLOPT_FORBID_REUSE, 1L); }
  UpstreamTimes Times() const override;
  std::shared_ptr<TcpTunnel> OpenStream(Tunnel::Callbacks callbacks) override;
  std::shared_ptr<Tunnel> OpenWebSocket(Tunnel::Callbacks callbacks, bool messages,
                                        UpgradeRequest request,
                                        const policy::NetworkLimits& limits) override;

 private:
  template <typename Value>
  void Set(CURLoption option, Value value) {
    curl_easy_setopt(easy_, option, value);
  }
  void SetUp();
  // ---- what libcurl calls
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  static size_t OnSend(char* buffer, size_t size, size_t count, void* self);
  static curl_socket_t OnOpenSocket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int OnCertificate(X509_STORE_CTX* chain, void* self);
  static CURLcode OnTlsStart(CURL* easy, void* ssl_context, void* self);
  static int OnConnected(void* self, char* address, char* local, int port, int local_port);
  std::optional<Failure> WhyNotHere(const char* address) const;
  UpstreamPeer PeerOf(const char* address, int port, SSL* tls) const;
  SSL* TlsConnection() const;
  // ---- its end
  void OnReadsNoMore();
  void DropUploadUnlessMoved();
  void OnDone(CURLcode code);
  bool TryNextAddress(CURLcode code);
  std::optional<Failure> Judge(CURLcode code);
  CURLcode JudgeEarlyAnswer();
  void Stop();

  boost::asio::io_context& io_;
  TrustStore& trust_;
  CurlMulti& multi_;
  UpstreamRequest request_;
  UpstreamObserver& observer_;
  CURL* easy_ = nullptr;
  bool running_ = false;
  CurlLists lists_;
  char error_text_[CURL_ERROR_SIZE] = {};
  bool absolute_form_ = false;  // the proxy gets the request itself
  bool tls_began_ = false, connected_ = false;
  bool sent_ = false;  // it may have reached the origin
  bool upload_paused_ = false, body_paused_ = false;
  bool upload_dropped_ = false;  // what is still to be sent is for nobody
  bool kept_open_ = false;       // then the origin had not ended the connection
  bool enough_ = false, refused_ = false;
  std::string certificate_names_;                            // of the one that was judged last
  std::shared_ptr<const bool> tls_ended_;                    // whether the origin has said so
  std::optional<Failure> failure_;                           // beside what libcurl says
  std::unique_ptr<boost::asio::steady_timer> upload_timer_;  // made when first needed
  loop::Owner owner_;
};

// ---- setting up

bool CurlExchange::Start() {
  easy_ = multi_.Acquire();
  if (easy_ == nullptr) return false;
  SetUp();
  observer_.OnConnecting();
  running_ = true;
  const bool connect_only = request_.kind != Kind::kHttp;
  multi_.Add(
      easy_,
      [this, connect_only](CURLcode code) {
        if (connect_only && code == CURLE_OK) return observer_.OnConnection();
        running_ = false;
        OnDone(code);
      },
      connect_only, [this] { OnReadsNoMore(); });
  return true;
}

void CurlExchange::Stop() {
  if (easy_ == nullptr) return;
  if (running_) multi_.Remove(easy_);
  running_ = false;
  multi_.Release(std::exchange(easy_, nullptr));
}

void CurlExchange::SetUp() {
  SetUpTransfer(easy_, request_, lists_);
  absolute_form_ = UsesAbsoluteForm(request_);
  Set(CURLOPT_ERRORBUFFER, error_text_);
  Set(CURLOPT_HEADERFUNCTION, OnHeader);
  Set(CURLOPT_HEADERDATA, this);
  Set(CURLOPT_WRITEFUNCTION, OnBody);
  Set(CURLOPT_WRITEDATA, this);
  Set(CURLOPT_READFUNCTION, OnSend);
  Set(CURLOPT_READDATA, this);
  Set(CURLOPT_OPENSOCKETFUNCTION, OnOpenSocket);
  Set(CURLOPT_OPENSOCKETDATA, this);
  Set(CURLOPT_PREREQFUNCTION, OnConnected);
  Set(CURLOPT_PREREQDATA, this);
  Set(CURLOPT_SSL_CTX_FUNCTION, OnTlsStart);
  Set(CURLOPT_SSL_CTX_DATA, this);
}

// ---- what libcurl calls

size_t CurlExchange::OnHeader(char* data, size_t size, size_t count, void* arg) {
  auto* self = static_cast<CurlExchange*>(arg);
  const auto taken = self->observer_.OnHeaderLine({data, size * count});
  self->enough_ = taken == UpstreamObserver::LineTaken::kEnough;
  self->refused_ = taken == UpstreamObserver::LineTaken::kRefused;
  return taken == UpstreamObserver::LineTaken::kTaken ? size * count : 0;
}

size_t CurlExchange::OnBody(char* data, size_t size, size_t count, void* arg) {
  auto* self = static_cast<CurlExchange*>(arg);
  switch (self->observer_.OnBody({data, size * count})) {
    case UpstreamObserver::BodyTaken::kTaken:
      return size * count;
    case UpstreamObserver::BodyTaken::kFull:
      self->body_paused_ = true;
      return CURL_WRITEFUNC_PAUSE;
    case UpstreamObserver::BodyTaken::kRefused:
      self->refused_ = true;
  }
  return 0;
}

size_t CurlExchange::OnSend(char* buffer, size_t size, size_t count, void* arg) {
  auto* self = static_cast<CurlExchange*>(arg);
  if (self->upload_dropped_) return 0;
  bool end = false;
  const size_t n = self->observer_.ReadUpload({buffer, size * count}, &end);
  if (n > 0 || end) return n;
  self->upload_paused_ = true;
  return CURL_READFUNC_PAUSE;
}

curl_socket_t CurlExchange::OnOpenSocket(void* arg, curlsocktype /*purpose*/,
                                         curl_sockaddr* address) {
  auto* self = static_cast<CurlExchange*>(arg);
  const UpstreamRequest& request = self->request_;
  const auto ip = IpAddress::From(&address->addr);
  const auto& known = request.proxy ? request.proxy->addresses : request.addresses;
  const bool checked = ip && std::find(known.begin(), known.end(), *ip) != known.end();
  if (!checked || (!request.proxy && !self->observer_.MayConnect(*ip))) {
    self->failure_ = Failure{channel::kErrAddressBlocked,
                             fmt::format("an address of {} is blocked", request.HostPort())};
    return CURL_SOCKET_BAD;
  }
  const int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd >= 0) return fd;
  self->failure_ =
      Failure{channel::kErrBrokerConnections,
              fmt::format("the broker cannot open another connection: {}", std::strerror(errno))};
  return CURL_SOCKET_BAD;
}

// Judges as OpenSSL does; libcurl looks at the names later, and says nothing of them.
int CurlExchange::OnCertificate(X509_STORE_CTX* chain, void* arg) {
  if (const X509* certificate = X509_STORE_CTX_get0_cert(chain); certificate != nullptr)
    static_cast<CurlExchange*>(arg)->certificate_names_ = CertificateNames(certificate);
  return X509_verify_cert(chain);
}

CURLcode CurlExchange::OnTlsStart(CURL* /*easy*/, void* ssl_context, void* arg) {
  auto* self = static_cast<CurlExchange*>(arg);
  self->tls_began_ = true;
  self->observer_.OnTlsStart();
  auto* context = static_cast<SSL_CTX*>(ssl_context);
  SSL_CTX_set_cert_verify_callback(context, OnCertificate, self);
  return self->trust_.ApplyTo(context) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

// The origin's; null where there is none.
SSL* CurlExchange::TlsConnection() const {
  curl_tlssessioninfo* info = nullptr;
  if (request_.tls) curl_easy_getinfo(easy_, CURLINFO_TLS_SSL_PTR, &info);
  return info != nullptr && info->backend == CURLSSLBACKEND_OPENSSL
             ? static_cast<SSL*>(info->internals)
             : nullptr;
}

// Why the request does not go over a connection that stands; nullopt where it does.
std::optional<Failure> CurlExchange::WhyNotHere(const char* address) const {
  // libcurl sends again what a kept connection ended under. Whether that was carried out already
  // nobody knows (RFC 9110 section 9.2.2).
  if (sent_ && !IsIdempotent(request_.method)) {
    return Failure{channel::kErrConnectionReset,
                   fmt::format("{} closed a kept connection; a {} is not sent again",
                               request_.HostPort(), request_.method)};
  }
  if (request_.proxy) return std::nullopt;
  // A kept connection may have been opened under another rule, which opened more.
  const auto ip = IpAddress::Parse(address);
  if (ip && observer_.MayConnect(*ip)) return std::nullopt;
  return Failure{
      channel::kErrAddressBlocked,
      fmt::format("the address {} of {} is blocked for this rule", address, request_.HostPort())};
}

UpstreamPeer CurlExchange::PeerOf(const char* address, int port, SSL* tls) const {
  UpstreamPeer peer{.address = address, .port = port, .proxy_answers = absolute_form_};
  if (request_.proxy && !request_.addresses.empty()) peer.origin = request_.addresses[0];
  if (tls != nullptr) peer.tls_version = SSL_get_version(tls);
  return peer;
}

int CurlExchange::OnConnected(void* arg, char* address, char* /*local*/, int port,
                              int /*local_port*/) {
  auto* self = static_cast<CurlExchange*>(arg);
  self->failure_ = self->WhyNotHere(address);  // what another address of the host said is over
  if (self->failure_) return CURL_PREREQFUNC_ABORT;
  self->sent_ = self->request_.kind == Kind::kHttp;
  self->connected_ = true;
  SSL* tls = self->TlsConnection();
  if (tls != nullptr) self->tls_ended_ = WatchCloseNotify(tls);
  self->observer_.OnConnected(self->PeerOf(address, port, tls));
  return CURL_PREREQFUNC_OK;
}

// ---- on the way

void CurlExchange::ResumeUpload() {
  if (std::exchange(upload_paused_, false))
    curl_easy_pause(easy_, body_paused_ ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

void CurlExchange::ResumeBody() {
  if (!std::exchange(body_paused_, false)) return;
  curl_easy_pause(easy_, upload_paused_ ? CURLPAUSE_SEND : CURLPAUSE_CONT);
  if (!multi_.Reads(easy_)) OnReadsNoMore();  // all of it was there already
}

UpstreamTimes CurlExchange::Times() const {
  const auto since_start = [&](CURLINFO info) {
    curl_off_t us = 0;
    curl_easy_getinfo(easy_, info, &us);
    return static_cast<double>(us) / 1000;
  };
  return {.connected = since_start(CURLINFO_CONNECT_TIME_T),
          .secured = since_start(CURLINFO_APPCONNECT_TIME_T),
          .first_byte = since_start(CURLINFO_STARTTRANSFER_TIME_T)};
}

std::shared_ptr<TcpTunnel> CurlExchange::OpenStream(Tunnel::Callbacks callbacks) {
  return std::make_shared<TcpTunnel>(io_, easy_, request_.tls, request_.HostPort(),
                                     std::move(callbacks));
}

std::shared_ptr<Tunnel> CurlExchange::OpenWebSocket(Tunnel::Callbacks callbacks, bool messages,
                                                    UpgradeRequest request,
                                                    const policy::NetworkLimits& limits) {
  if (!messages) {
    return MakeUpgradeTunnel(io_, easy_, request_.tls, request_.HostPort(), std::move(callbacks),
                             std::move(request), limits);
  }
  return MakeWebSocketTunnel(io_, easy_, request_.tls, request_.HostPort(), std::move(callbacks),
                             std::move(request.host), std::move(request.target),
                             std::move(request.fields), limits);
}

// ---- its end

// libcurl tells of a response's end, or of the connection's, when it has sent the whole request:
// with a body that the guest keeps back, or that the origin does not take, never.
void CurlExchange::OnReadsNoMore() {
  if (request_.kind == Kind::kHttp && request_.has_body && connected_ && !body_paused_ &&
      !upload_dropped_)
    DropUploadUnlessMoved();
}

// The rest of the request gets a moment in which it may still go its way.
void CurlExchange::DropUploadUnlessMoved() {
  const auto sent = [this] {
    curl_off_t bytes = 0;
    curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &bytes);
    return bytes;
  };
  if (!upload_timer_) upload_timer_ = std::make_unique<boost::asio::steady_timer>(io_);
  upload_timer_->expires_after(kUploadMovesWithin);
  upload_timer_->async_wait(
      owner_.WhileHere([this, sent, before = sent()](const boost::system::error_code& error) {
        if (error || !running_ || body_paused_ || multi_.Reads(easy_)) return;
        if (sent() != before) return DropUploadUnlessMoved();
        kept_open_ = !multi_.PeerEnded(easy_);
        // libcurl is to find that it has sent all, and must not tell the origin so: that would take
        // a part for the whole.
        if (!multi_.SendNowhere(easy_)) {
          return observer_.OnEnded(Failure{channel::kErrBrokerResources, "no descriptor is free"});
        }
        upload_dropped_ = true;
        ResumeUpload();
      }));
}

void CurlExchange::OnDone(CURLcode code) {
  if (TryNextAddress(code)) return;
  observer_.OnEnded(Judge(code));
}

// Where the proxy could not connect, nothing of the request has left.
bool CurlExchange::TryNextAddress(CURLcode code) {
  if (!request_.proxy || request_.addresses.size() < 2 || !ProxyCouldNotConnect(easy_, code))
    return false;
  request_.addresses.erase(request_.addresses.begin());
  Stop();
  lists_.Clear();
  failure_.reset();
  tls_began_ = false;
  if (!Start())
    observer_.OnEnded(Failure{channel::kErrBrokerResources, "the broker is out of memory"});
  return true;
}

std::optional<Failure> CurlExchange::Judge(CURLcode code) {
  const ResponseShape shape = observer_.Shape();
  const auto where = [&] { return request_.HostPort(); };
  if (code == CURLE_OUT_OF_MEMORY && !shape.begun && connected_) {
    // What libcurl says of a header line of over 100 kB.
    return Failure{channel::kErrLimitOfHeaders,
                   fmt::format("a line of the header section of {} is larger than the limit of {} "
                               "(header_bytes)",
                               where(), request_.header_bytes)};
  }
  if (enough_) return std::nullopt;
  if (upload_dropped_ && code == CURLE_READ_ERROR && !failure_ && !refused_)
    code = JudgeEarlyAnswer();
  if (code != CURLE_OK) {
    if (failure_) return failure_;
    const bool proxied = request_.proxy.has_value();
    if (proxied && !absolute_form_ && !connected_ && ProxyBrokeOff(easy_, code, tls_began_))
      code = CURLE_PROXY;
    const bool of_proxy = (code == CURLE_COULDNT_CONNECT && proxied) || absolute_form_;
    return CurlFailure(easy_, code, of_proxy ? "the proxy" : where(), error_text_,
                       certificate_names_);
  }
  if (!shape.begun)
    return Failure{channel::kErrResponseIncomplete, fmt::format("{} sent no response", where())};
  // RFC 9112 section 9.8: else whoever is between could cut a response short.
  if (tls_ended_ && !*tls_ended_ && shape.ends_with_connection) {
    return Failure{channel::kErrResponseIncomplete,
                   fmt::format("{} ended the connection before TLS: its response may have been cut "
                               "short",
                               where())};
  }
  return std::nullopt;
}

// libcurl of 8.7 and later says no more of it than that the request, whose length it knows, was cut
// short. It reads on until the response is complete or the connection has ended: what it would have
// said of the response alone.
CURLcode CurlExchange::JudgeEarlyAnswer() {
  const ResponseShape shape = observer_.Shape();
  if (!shape.begun) return CURLE_GOT_NOTHING;
  curl_off_t came = 0;
  curl_easy_getinfo(easy_, CURLINFO_SIZE_DOWNLOAD_T, &came);
  const bool all = shape.content_length == std::to_string(came);
  if (kept_open_ || all || shape.ends_with_connection) return CURLE_OK;
  if (shape.content_length) return CURLE_PARTIAL_FILE;
  failure_ = Failure{channel::kErrResponseIncomplete,
                     fmt::format("{} ended the connection before it had the whole request; whether "
                                 "its response is complete cannot be told",
                                 request_.HostPort())};
  return CURLE_READ_ERROR;
}

}  // namespace

std::unique_ptr<UpstreamExchange> CurlUpstream::Start(UpstreamRequest request,
                                                      UpstreamObserver& observer) {
  auto exchange = std::make_unique<CurlExchange>(io_, trust_, multi_, std::move(request), observer);
  if (!exchange->Start()) return nullptr;
  return exchange;
}

}  // namespace postern::broker
