// Request's side towards libcurl: where it connects, what it sends.
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "base/format.h"
#include "base/text.h"
#include "broker/net/net_binding.h"
#include "broker/net/request.h"
#include "broker/upstream/certificate_names.h"
#include "broker/upstream/close_notify.h"
#include "broker/upstream/http_fields.h"
#include "channel/postern_fields.h"
#include "policy/secrets/representation.h"
#include "policy/trace_context.h"

namespace postern::broker {
namespace {

using channel::Failure;

std::string Bracketed(const IpAddress& a) {
  return a.v6 ? fmt::format("[{}]", a.ToString()) : a.ToString();
}

curl_slist* ResolveEntry(curl_slist* list, const std::string& host, uint16_t port,
                         const std::vector<IpAddress>& addresses) {
  std::string entry = fmt::format("+{}:{}:", host, port);
  for (size_t i = 0; i < addresses.size(); ++i)
    entry += (i == 0 ? "" : ",") + Bracketed(addresses[i]);
  return curl_slist_append(list, entry.c_str());
}

curl_blob Blob(const std::string& bytes) {
  return {const_cast<char*>(bytes.data()), bytes.size(), CURL_BLOB_COPY};
}

}  // namespace

void Request::SetUp(CURL* easy) {
  curl_easy_setopt(easy, CURLOPT_URL, Outgoing().Url().c_str());
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  // Filtering a piece takes time, which other guests wait.
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (secrets_ != nullptr ? 32L : 128L) * 1024);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(guest_.policy().limits.total_timeout + 60'000));
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text_);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, OnOpenSocket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, OnConnected);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
  SetUpDestination(easy);
  SetUpTls(easy);
  if (target_.kind != RequestKind::kHttp) {
    curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    if (target_.kind == RequestKind::kTcp) curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
    return;
  }
  SetUpHeaders();
  SetUpMethod();
}

void Request::SetUpDestination(CURL* easy) {
  if (guest_.policy().adapter.kind == policy::AdapterKind::kProxy) return SetUpProxy(easy);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // never the environment's
  if (target_.url.host_is_ip) return;
  resolve_list_ = ResolveEntry(nullptr, target_.url.host, target_.url.port, addresses_);
  curl_easy_setopt(easy, CURLOPT_RESOLVE, resolve_list_);
}

// Whether the request goes to the proxy itself, in absolute form (RFC 9112 section 3.2.2), as many
// proxies want plain http. The proxy then goes where the target says, and puts that into Host: the
// name, which it looks up itself, or an address. A name that was looked up and checked here needs a
// tunnel, in which the checked address and the name both have a place.
bool Request::AbsoluteForm(const policy::ProxyUrl& proxy) const {
  return target_.kind == RequestKind::kHttp && !target_.tls && proxy.scheme != "socks5h" &&
         (target_.url.host_is_ip || addresses_.empty());
}

// Else a tunnel through the proxy to the checked address; TLS and Host carry the name.
void Request::SetUpProxy(CURL* easy) {
  const auto proxy = policy::ParseProxyUrl(guest_.policy().adapter.target);
  const std::string host = Bracketed(proxy->host);
  curl_easy_setopt(easy, CURLOPT_PROXY,
                   fmt::format("{}://{}:{}", proxy->scheme, host, proxy->port).c_str());
  if (!proxy->user.empty() || !proxy->password.empty()) {
    curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, proxy->user.c_str());
    curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, proxy->password.c_str());
    curl_easy_setopt(easy, CURLOPT_PROXYAUTH, static_cast<long>(CURLAUTH_BASIC));
  }
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  absolute_form_ = AbsoluteForm(*proxy);
  head_->set_from_proxy(absolute_form_);
  curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, absolute_form_ ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, nullptr);
  curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, nullptr);
  curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!proxy->host_is_ip) {
    resolve_list_ = ResolveEntry(nullptr, proxy->host, proxy->port, proxy_addresses_);
    curl_easy_setopt(easy, CURLOPT_RESOLVE, resolve_list_);
  }
  if (target_.url.host_is_ip || addresses_.empty()) return;
  const std::string entry = fmt::format("{}:{}:{}:{}", target_.url.host, target_.url.port,
                                        Bracketed(addresses_[0]), target_.url.port);
  connect_to_ = curl_slist_append(nullptr, entry.c_str());
  curl_easy_setopt(easy, CURLOPT_CONNECT_TO, connect_to_);
}

void Request::SetUpTls(CURL* easy) {
  curl_easy_setopt(easy, CURLOPT_CAINFO, nullptr);
  curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, OnTlsStart);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, this);
  if (rule_ == nullptr || !target_.tls) return;
  const policy::RuleTls& tls = rule_->tls;
  if (!tls.certificate.empty()) {
    curl_blob certificate = Blob(tls.certificate), key = Blob(tls.key);
    curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &certificate);
    curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &key);
  }
  std::string pins;
  for (const std::string& pin : tls.pins) {  // libcurl spells "sha256//"
    fmt::format_to(std::back_inserter(pins), "{}{}/{}", pins.empty() ? "" : ";", pin.substr(0, 7),
                   pin.substr(7));
  }
  if (!pins.empty()) curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, pins.c_str());
}

OutgoingRequest Request::Outgoing() const {
  return {.target = target_,
          .fields = request_fields_,
          .policy = guest_.policy(),
          .rule = rule_,
          .secret_host = secrets_ != nullptr,
          .recorded = guest_.shared().record};
}

channel::Fields Request::OutgoingFields() const {
  const OutgoingRequest outgoing = Outgoing();
  std::string span(outgoing.IsTraced() ? 8 : 0, '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(span.data());
  if (RAND_bytes(bytes, static_cast<int>(span.size())) != 1) span.clear();
  return outgoing.Fields(span);
}

void Request::SetUpHeaders() {
  const channel::Fields fields = OutgoingFields();
  const Spellings spellings(FindField(request_fields_, channel::kNames));
  for (const channel::Field& f : fields) {
    const std::string& name = spellings.Of(f.name);
    const std::string line =
        f.value.empty() ? fmt::format("{};", name) : fmt::format("{}: {}", name, f.value);
    header_list_ = curl_slist_append(header_list_, line.c_str());
  }
  // Without it nothing waits for 100 Continue; with it the guest does, and libcurl need not.
  const std::string* expect = FindField(request_fields_, "expect");
  expects_ =
      raw_ && has_upload_ && expect != nullptr && EqualsIgnoringCase(*expect, "100-continue");
  header_list_ = curl_slist_append(header_list_, expects_ ? "Expect: 100-continue" : "Expect:");
  if (expects_) curl_easy_setopt(easy_, CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
  if (FindField(fields, "accept") == nullptr) {
    header_list_ = curl_slist_append(header_list_, "Accept:");
  }
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, header_list_);
}

void Request::SetUpMethod() {
  const bool sends = has_upload_ || target_.method == "POST" || target_.method == "PUT" ||
                     target_.method == "PATCH";
  if (!sends) {
    if (target_.method == "HEAD") {
      curl_easy_setopt(easy_, CURLOPT_NOBODY, 1L);
    } else {
      curl_easy_setopt(easy_, CURLOPT_HTTPGET, 1L);
      if (target_.method != "GET")
        curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, target_.method.c_str());
    }
    return;
  }
  PutSecretsInUpload();
  curl_off_t size = has_upload_ ? -1 : 0;  // -1: chunked
  if (const std::string* length = FindField(request_fields_, "content-length");
      has_upload_ && length != nullptr && !upload_secrets_) {
    std::from_chars(length->data(), length->data() + length->size(), size);
  }
  curl_easy_setopt(easy_, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, target_.method.c_str());
  curl_easy_setopt(easy_, CURLOPT_INFILESIZE_LARGE, size);
  curl_easy_setopt(easy_, CURLOPT_READFUNCTION, OnSend);
  curl_easy_setopt(easy_, CURLOPT_READDATA, this);
}

// Where a rule says so, placeholders in the body become secrets; what came already as well.
void Request::PutSecretsInUpload() {
  if (upload_secrets_) return;  // set up for an address before this one
  std::vector<policy::Spelling> placeholders = Outgoing().BodySecrets();
  if (placeholders.empty()) return;
  upload_secrets_.emplace(std::move(placeholders));
  const std::string came = std::exchange(upload_, {});
  upload_secrets_->Feed(came, upload_);
  if (upload_ended_) upload_secrets_->Flush(upload_);
}

curl_socket_t Request::OnOpenSocket(void* arg, curlsocktype /*purpose*/, curl_sockaddr* address) {
  auto* self = static_cast<Request*>(arg);
  const auto ip = IpAddress::From(&address->addr);
  const bool proxied = !self->proxy_addresses_.empty();
  const auto& known = proxied ? self->proxy_addresses_ : self->addresses_;
  const bool checked = ip && std::find(known.begin(), known.end(), *ip) != known.end();
  if (!checked || (!proxied && self->Blocked(*ip))) {
    self->failure_ =
        Failure{channel::kErrAddressBlocked,
                fmt::format("an address of {} is blocked", self->target_.url.HostPort())};
    return CURL_SOCKET_BAD;
  }
  const int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) {
    self->failure_ =
        Failure{channel::kErrBrokerConnections,
                fmt::format("the broker cannot open another connection: {}", std::strerror(errno))};
    return CURL_SOCKET_BAD;
  }
  return fd;
}

// Judges as OpenSSL does; libcurl looks at the names later, and says nothing of them.
int Request::OnCertificate(X509_STORE_CTX* chain, void* arg) {
  if (const X509* certificate = X509_STORE_CTX_get0_cert(chain); certificate != nullptr)
    static_cast<Request*>(arg)->certificate_names_ = CertificateNames(certificate);
  return X509_verify_cert(chain);
}

CURLcode Request::OnTlsStart(CURL* /*easy*/, void* ssl_context, void* arg) {
  auto* self = static_cast<Request*>(arg);
  self->EnterPhase(Phase::kTls);
  SSL_CTX_set_cert_verify_callback(static_cast<SSL_CTX*>(ssl_context), OnCertificate, self);
  return self->guest_.shared().tls.ApplyTo(static_cast<SSL_CTX*>(ssl_context))
             ? CURLE_OK
             : CURLE_OUT_OF_MEMORY;
}

// The origin's; null where there is none.
SSL* Request::TlsConnection() const {
  curl_tlssessioninfo* info = nullptr;
  if (target_.tls) curl_easy_getinfo(easy_, CURLINFO_TLS_SSL_PTR, &info);
  return info != nullptr && info->backend == CURLSSLBACKEND_OPENSSL
             ? static_cast<SSL*>(info->internals)
             : nullptr;
}

int Request::OnConnected(void* arg, char* address, char* /*local*/, int port, int /*local_port*/) {
  auto* self = static_cast<Request*>(arg);
  self->failure_.reset();  // another address of the host answered
  // libcurl sends again what a kept connection ended under. Whether that was carried out already
  // nobody knows (RFC 9110 section 9.2.2).
  if (std::exchange(self->sent_, self->target_.kind == RequestKind::kHttp) &&
      !IsIdempotent(self->target_.method)) {
    self->failure_ = Failure{channel::kErrConnectionReset,
                             fmt::format("{} closed a kept connection; a {} is not sent again",
                                         self->target_.url.HostPort(), self->target_.method)};
    return CURL_PREREQFUNC_ABORT;
  }
  // A kept connection may have been opened under another rule, which opened more.
  if (const auto ip = IpAddress::Parse(address);
      self->proxy_addresses_.empty() && (!ip || self->Blocked(*ip))) {
    self->failure_ = Failure{channel::kErrAddressBlocked,
                             fmt::format("the address {} of {} is blocked for this rule", address,
                                         self->target_.url.HostPort())};
    return CURL_PREREQFUNC_ABORT;
  }
  if (self->raw_) self->NotePeer(address, port);
  SSL* tls = self->TlsConnection();
  if (tls != nullptr) self->tls_ended_ = WatchCloseNotify(tls);
  if (self->guest_.WantsEvents()) {
    self->record_.SetPeer(fmt::format("{}:{}", Bracketed(std::string(address)), port),
                          tls != nullptr ? SSL_get_version(tls) : "");
  }
  const bool sends =
      self->target_.kind == RequestKind::kHttp && self->has_upload_ && !self->upload_ended_;
  self->EnterPhase(sends ? Phase::kSend : Phase::kHeaders);
  return CURL_PREREQFUNC_OK;
}

// Through a proxy it is the origin that was checked, where one was.
void Request::NotePeer(const std::string& address, int port) {
  if (proxy_addresses_.empty()) {
    peer_ = fmt::format(" {} {}", address, port);
  } else if (!addresses_.empty()) {
    peer_ = fmt::format(" {} {}", addresses_[0].ToString(), target_.url.port);
  }
}

size_t Request::OnSend(char* buffer, size_t size, size_t count, void* arg) {
  auto* self = static_cast<Request*>(arg);
  const size_t n = std::min(size * count, self->upload_.size() - self->upload_at_);
  if (self->upload_dropped_) return 0;
  if (n == 0) {
    if (self->upload_ended_) {
      if (self->deadlines_.phase() == Phase::kSend) self->EnterPhase(Phase::kHeaders);
      return 0;
    }
    self->upload_paused_ = true;
    return CURL_READFUNC_PAUSE;
  }
  std::copy_n(self->upload_.data() + self->upload_at_, n, buffer);
  self->upload_at_ += n;
  if (!self->upload_secrets_) self->CountSent(n);
  const size_t consumed = self->upload_secrets_ ? 0 : std::min(n, self->upload_unconsumed_);
  self->upload_unconsumed_ -= consumed;
  self->guest_.channel().session().Consume(self->stream_, consumed);
  if (self->upload_at_ == self->upload_.size()) {
    self->upload_.clear();
    self->upload_at_ = 0;
    self->ConsumeUpload();
  }
  if (self->deadlines_.phase() == Phase::kSend) self->EnterPhase(Phase::kSend);
  self->guest_.channel().FlushSoon();
  return n;
}

}  // namespace postern::broker
