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
#include <iterator>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "broker/upstream/certificate_names.h"
#include "broker/upstream/close_notify.h"
#include "broker/upstream/curl_failure.h"
#include "broker/upstream/http_fields.h"
#include "loop/owner.h"

namespace postern::broker {
namespace {

using channel::Failure;
using Kind = UpstreamRequest::Kind;

// How long a request goes on being sent whose response is there, while nothing of it moves.
constexpr std::chrono::milliseconds kUploadMovesWithin(250);
// Beyond the policy's own, which says more: libcurl's would come first otherwise.
constexpr int64_t kConnectTimeoutSlackMs = 60'000;

std::string Bracketed(const IpAddress& a) {
  return a.v6 ? fmt::format("[{}]", a.ToString()) : a.ToString();
}

std::string Bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
}

// A list of libcurl's that is freed with its owner.
class CurlList {
 public:
  CurlList() = default;
  ~CurlList() { curl_slist_free_all(list_); }
  CurlList(const CurlList&) = delete;
  CurlList& operator=(const CurlList&) = delete;

  void Append(const std::string& line) { list_ = curl_slist_append(list_, line.c_str()); }
  void Clear() { curl_slist_free_all(std::exchange(list_, nullptr)); }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

std::string ResolveEntry(const std::string& host, uint16_t port,
                         const std::vector<IpAddress>& addresses) {
  std::string entry = fmt::format("+{}:{}:", host, port);
  for (size_t i = 0; i < addresses.size(); ++i)
    entry += (i == 0 ? "" : ",") + Bracketed(addresses[i]);
  return entry;
}

curl_blob Blob(const std::string& bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size(), CURL_BLOB_COPY};
}

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
  void SetUpDestination();
  void SetUpProxy(const UpstreamProxy& proxy);
  bool UsesAbsoluteForm() const;
  void SetUpTls();
  void SetUpHeaders();
  void SetUpMethod();
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
  CurlList headers_, resolve_, connect_to_;
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
  Set(CURLOPT_URL, request_.url.c_str());
  Set(CURLOPT_PATH_AS_IS, 1L);
  Set(CURLOPT_PROTOCOLS_STR, "http,https");
  Set(CURLOPT_NOSIGNAL, 1L);
  Set(CURLOPT_FOLLOWLOCATION, 0L);
  Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  // Filtering a piece takes time, which other guests wait.
  Set(CURLOPT_BUFFERSIZE, (request_.filtered ? 32L : 128L) * 1024);
  Set(CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(request_.total_timeout_ms + kConnectTimeoutSlackMs));
  Set(CURLOPT_ERRORBUFFER, error_text_);
  Set(CURLOPT_HEADERFUNCTION, OnHeader);
  Set(CURLOPT_HEADERDATA, this);
  Set(CURLOPT_WRITEFUNCTION, OnBody);
  Set(CURLOPT_WRITEDATA, this);
  Set(CURLOPT_OPENSOCKETFUNCTION, OnOpenSocket);
  Set(CURLOPT_OPENSOCKETDATA, this);
  Set(CURLOPT_PREREQFUNCTION, OnConnected);
  Set(CURLOPT_PREREQDATA, this);
  SetUpDestination();
  SetUpTls();
  if (request_.kind != Kind::kHttp) {
    Set(CURLOPT_CONNECT_ONLY, 1L);
    Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    if (request_.kind == Kind::kTcp) Set(CURLOPT_SSL_ENABLE_ALPN, 0L);
    return;
  }
  SetUpHeaders();
  SetUpMethod();
}

void CurlExchange::SetUpDestination() {
  if (request_.proxy) return SetUpProxy(*request_.proxy);
  Set(CURLOPT_PROXY, "");  // never the environment's
  if (request_.host_is_ip) return;
  resolve_.Append(ResolveEntry(request_.host, request_.port, request_.addresses));
  Set(CURLOPT_RESOLVE, resolve_.get());
}

// Whether the request goes to the proxy itself, in absolute form (RFC 9112 section 3.2.2), as many
// proxies want plain http. The proxy then goes where the target says, and puts that into Host: the
// name, which it looks up itself, or an address. A name that was looked up and checked here needs a
// tunnel, in which the checked address and the name both have a place.
bool CurlExchange::UsesAbsoluteForm() const {
  return request_.kind == Kind::kHttp && !request_.tls && request_.proxy->url.scheme != "socks5h" &&
         (request_.host_is_ip || request_.addresses.empty());
}

// Else a tunnel through the proxy to the checked address; TLS and Host carry the name.
void CurlExchange::SetUpProxy(const UpstreamProxy& proxy) {
  const policy::ProxyUrl& url = proxy.url;
  Set(CURLOPT_PROXY, fmt::format("{}://{}:{}", url.scheme, Bracketed(url.host), url.port).c_str());
  if (!url.user.empty() || !url.password.empty()) {
    Set(CURLOPT_PROXYUSERNAME, url.user.c_str());
    Set(CURLOPT_PROXYPASSWORD, url.password.c_str());
    Set(CURLOPT_PROXYAUTH, static_cast<long>(CURLAUTH_BASIC));
  }
  Set(CURLOPT_NOPROXY, "");
  absolute_form_ = UsesAbsoluteForm();
  Set(CURLOPT_HTTPPROXYTUNNEL, absolute_form_ ? 0L : 1L);
  Set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  Set(CURLOPT_PROXY_CAINFO, static_cast<char*>(nullptr));
  Set(CURLOPT_PROXY_CAPATH, static_cast<char*>(nullptr));
  Set(CURLOPT_PROXY_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!url.host_is_ip) {
    resolve_.Append(ResolveEntry(url.host, url.port, proxy.addresses));
    Set(CURLOPT_RESOLVE, resolve_.get());
  }
  if (request_.host_is_ip || request_.addresses.empty()) return;
  connect_to_.Append(fmt::format("{}:{}:{}:{}", request_.host, request_.port,
                                 Bracketed(request_.addresses[0]), request_.port));
  Set(CURLOPT_CONNECT_TO, connect_to_.get());
}

void CurlExchange::SetUpTls() {
  Set(CURLOPT_CAINFO, static_cast<char*>(nullptr));
  Set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  Set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  Set(CURLOPT_SSL_CTX_FUNCTION, OnTlsStart);
  Set(CURLOPT_SSL_CTX_DATA, this);
  if (request_.rule_tls == nullptr || !request_.tls) return;
  const policy::RuleTls& tls = *request_.rule_tls;
  if (!tls.certificate.empty()) {
    curl_blob certificate = Blob(tls.certificate), key = Blob(tls.key);
    Set(CURLOPT_SSLCERT_BLOB, &certificate);
    Set(CURLOPT_SSLKEY_BLOB, &key);
  }
  std::string pins;
  for (const std::string& pin : tls.pins) {  // libcurl spells "sha256//"
    fmt::format_to(std::back_inserter(pins), "{}{}/{}", pins.empty() ? "" : ";", pin.substr(0, 7),
                   pin.substr(7));
  }
  if (!pins.empty()) Set(CURLOPT_PINNEDPUBLICKEY, pins.c_str());
}

void CurlExchange::SetUpHeaders() {
  bool accepts = false;
  for (const channel::Field& f : request_.fields) {
    headers_.Append(f.value.empty() ? fmt::format("{};", f.name)
                                    : fmt::format("{}: {}", f.name, f.value));
    accepts = accepts || EqualsIgnoringCase(f.name, "accept");
  }
  // Without it nothing waits for 100 Continue; with it the guest does, and libcurl need not.
  headers_.Append(request_.expects_continue ? "Expect: 100-continue" : "Expect:");
  if (request_.expects_continue) Set(CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
  if (!accepts) headers_.Append("Accept:");
  Set(CURLOPT_HTTPHEADER, headers_.get());
}

void CurlExchange::SetUpMethod() {
  const std::string& method = request_.method;
  const bool sends = request_.has_body || method == "POST" || method == "PUT" || method == "PATCH";
  if (!sends) {
    if (method == "HEAD") return Set(CURLOPT_NOBODY, 1L);
    Set(CURLOPT_HTTPGET, 1L);
    if (method != "GET") Set(CURLOPT_CUSTOMREQUEST, method.c_str());
    return;
  }
  Set(CURLOPT_UPLOAD, 1L);
  Set(CURLOPT_CUSTOMREQUEST, method.c_str());
  // -1: chunked
  Set(CURLOPT_INFILESIZE_LARGE,
      static_cast<curl_off_t>(request_.has_body ? request_.body_size.value_or(-1) : 0));
  Set(CURLOPT_READFUNCTION, OnSend);
  Set(CURLOPT_READDATA, this);
}

// ---- what libcurl calls

size_t CurlExchange::OnHeader(char* data, size_t size, size_t count, void* arg) {
  auto* self = static_cast<CurlExchange*>(arg);
  const auto taken = self->observer_.OnHeaderLine({data, size * count});
  self->enough_ = taken == UpstreamObserver::Taken::kEnough;
  self->refused_ = taken == UpstreamObserver::Taken::kRefused;
  return taken == UpstreamObserver::Taken::kTaken ? size * count : 0;
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
  headers_.Clear();
  resolve_.Clear();
  connect_to_.Clear();
  failure_.reset();
  tls_began_ = false;
  if (!Start())
    observer_.OnEnded(Failure{channel::kErrBrokerResources, "the broker is out of memory"});
  return true;
}

std::optional<Failure> CurlExchange::Judge(CURLcode code) {
  const ResponseShape shape = observer_.Shape();
  const std::string where = request_.HostPort();
  if (code == CURLE_OUT_OF_MEMORY && !shape.begun && connected_) {
    // What libcurl says of a header line of over 100 kB.
    return Failure{channel::kErrLimitOfHeaders,
                   fmt::format("a line of the header section of {} is larger than the limit of {} "
                               "(header_bytes)",
                               where, request_.header_bytes)};
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
    return CurlFailure(easy_, code, of_proxy ? "the proxy" : where, error_text_,
                       certificate_names_);
  }
  if (!shape.begun)
    return Failure{channel::kErrResponseIncomplete, fmt::format("{} sent no response", where)};
  // RFC 9112 section 9.8: else whoever is between could cut a response short.
  if (tls_ended_ && !*tls_ended_ && shape.ends_with_connection) {
    return Failure{channel::kErrResponseIncomplete,
                   fmt::format("{} ended the connection before TLS: its response may have been cut "
                               "short",
                               where)};
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

std::string UpstreamRequest::HostPort() const {
  return fmt::format("{}:{}", Bracketed(host), port);
}

std::unique_ptr<UpstreamExchange> CurlUpstream::Start(UpstreamRequest request,
                                                      UpstreamObserver& observer) {
  auto exchange = std::make_unique<CurlExchange>(io_, trust_, multi_, std::move(request), observer);
  if (!exchange->Start()) return nullptr;
  return exchange;
}

}  // namespace postern::broker
