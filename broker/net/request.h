// Request: one request of a guest, from its decision to its last byte, whatever happens.
//
// Phases: decide, record the decision, resolve, connect, TLS, send and wait for headers, body. Each
// has a deadline, armed when the phase begins; a total runs over all of them. However it ends, the
// guest gets a response or a failure that names the cause, once, and the log gets its two events.
//
// request.cc has the course of things and the guest's side, request_decide.cc the decision,
// request_curl.cc what libcurl is told and asks, request_response.cc what the origin answers,
// request_tunnel.cc TCP streams and WebSockets, request_deadlines.cc the clocks, and request_log.cc
// the events.
#pragma once

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/time.h>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/upstream/tunnel.h"
#include "channel/failure.h"
#include "har/har.h"
#include "policy/decision.h"
#include "policy/secrets/placeholder.h"
#include "policy/secrets/secret_filter.h"
#include "policy/secrets/stream_replacer.h"

namespace postern::broker {

class NetBinding;

class Request {
 public:
  Request(NetBinding& guest, int32_t stream);
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  void Start(channel::Fields fields, bool has_body);
  void OnUpload(std::span<const uint8_t> data);
  void OnUploadEnd();
  size_t ReadBody(std::span<uint8_t> out, bool* end, channel::Fields* trailers);
  // A TCP stream's TLS begins; `done` is called once, unless this ends before.
  void StartTls(const std::string& host, TcpTunnel::TlsDone done);

  using Clock = std::chrono::steady_clock;
  // Ends the request if its deadline has passed. Returns when to look again.
  Clock::time_point CheckDeadline(Clock::time_point now);

 private:
  enum class Kind { kHttp, kWebSocket, kTcp, kLookup };
  enum class Phase {
    kDecide,
    kRecord,
    kResolve,
    kConnect,
    kTls,
    kSend,
    kHeaders,
    kBody,
    kStream,  // a TCP stream's or a WebSocket's: as long as something moves
    kDone
  };

  // ---- the course of things
  std::optional<channel::Failure> Decide(const channel::Fields& fields);
  std::optional<channel::Failure> ReadTarget(const channel::Fields& fields);
  std::optional<channel::Failure> ReadConnectTarget(const channel::Fields& fields);
  std::optional<channel::Failure> ParseUrl(const std::string& text);
  std::optional<channel::Failure> CheckLimits();
  std::optional<channel::Failure> CheckSecretsInHead(const channel::Fields& fields) const;
  void Record();
  void Perform();
  void Resolve();
  void ResolveProxy();
  void Check(const std::vector<IpAddress>& addresses);
  void SendAddresses();
  void Connect();
  void ReplayNow();
  void Finished(CURLcode code);
  void Complete();
  void Fail(channel::Failure failure);
  void FailBehindBody(channel::Failure failure);
  void StopTransfer();
  void FreeLists();
  std::optional<std::string> Blocked(const IpAddress& address) const;
  bool OverTotalBytes() const;
  channel::Failure TotalBytesFailure() const;

  // ---- TCP streams and WebSockets (request_tunnel.cc)
  void OpenTunnel();
  void OnTunnelOpen(channel::Fields response);
  void OnTunnelData(std::string_view bytes);

  // ---- clocks
  void EnterPhase(Phase phase);
  void SetDeadline(Clock::time_point deadline);
  void OnDeadline(Clock::time_point now);
  void ExpiredInBody();
  bool WaitsForUpload() const;
  std::string WhoIsLate() const;
  void CountProgress(size_t bytes);
  void RunIdleClock();
  void WaitForGuest();

  // ---- libcurl
  void SetUp(CURL* easy);
  void SetUpDestination(CURL* easy);
  void SetUpProxy(CURL* easy);
  bool AbsoluteForm(const policy::ProxyUrl& proxy) const;
  void SetUpTls(CURL* easy);
  void SetUpMethod();
  void SetUpHeaders();
  std::string OutgoingUrl() const;
  channel::Fields OutgoingFields() const;
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  static size_t OnSend(char* buffer, size_t size, size_t count, void* self);
  static curl_socket_t OnOpenSocket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int OnCertificate(X509_STORE_CTX* chain, void* arg);
  static CURLcode OnTlsStart(CURL* easy, void* ssl_context, void* self);
  static int OnConnected(void* self, char* address, char* local, int port, int local_port);
  SSL* TlsConnection() const;
  void NotePeer(const std::string& address, int port);
  void PutSecretsInUpload();
  void UnpauseUpload();
  void OnReadsNoMore();
  void DropUploadUnlessMoved();
  CURLcode JudgeEarlyAnswer();
  void ConsumeUpload();
  void CountSent(size_t bytes);

  // ---- the response
  bool TakeHeaderLine(std::string_view line);
  bool ParseStatusLine(std::string_view line);
  bool ParseField(std::string_view line);
  bool Unfold(std::string_view line);
  bool TakeLength(const std::string& written, const std::string& value);
  bool TakeTransferEncoding(const std::string& value);
  bool Malformed(const std::string& what);
  void ForgetLengthOfChunks();
  channel::Fields ResponseHead() const;
  void Inform(const channel::Fields& information);
  void ForgetBody();
  bool EndsWithItsConnection() const;
  void TrailersFor(channel::Fields* out) const;
  bool EndOfHeaders();
  bool CountHeader(size_t bytes);
  bool Unfilterable(const std::string& why);
  bool ReceiveBody(std::string_view data);
  bool CountBody(size_t bytes);
  void AppendBody(std::string_view bytes);
  void KeepForRecording(har::Body har::HarEntry::*body, std::string_view bytes);
  void ResumeIfDrained();
  bool FilterBody(std::string_view data);
  void ReleaseFiltered(size_t bytes);
  void ReleaseLinesAfterPause();
  void EndBody();

  // ---- events
  void LogDecision(const policy::Decision& decision, const char* verdict);
  void LogEnd();
  void NoteTransfer();
  void WriteHarEntry();

  NetBinding& guest_;
  const int32_t stream_;
  const uint64_t number_;  // of this request among the guest's
  Phase phase_ = Phase::kDecide;
  Kind kind_ = Kind::kHttp;
  bool tls_ = false;  // from the first byte on
  policy::Url url_;
  std::string method_;
  const policy::Rule* rule_ = nullptr;  // null in report mode, where none allowed it
  channel::Fields request_fields_;

  CURL* easy_ = nullptr;
  bool running_ = false;
  curl_slist* header_list_ = nullptr;
  curl_slist* resolve_list_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  char error_text_[CURL_ERROR_SIZE] = {};
  std::shared_ptr<Tunnel> tunnel_;
  uint64_t resolving_ = 0;
  std::vector<IpAddress> addresses_;        // the checked ones, of the origin
  std::vector<IpAddress> proxy_addresses_;  // with a proxy connections go to these only
  bool absolute_form_ = false;              // the proxy gets the request itself

  bool has_upload_ = false, upload_ended_ = false, upload_paused_ = false;
  bool upload_dropped_ = false;  // what the guest still sends is for nobody
  bool kept_open_ = false;       // then the origin had not ended the connection
  std::unique_ptr<boost::asio::steady_timer> upload_timer_;
  std::string upload_;
  size_t upload_at_ = 0;
  size_t upload_unconsumed_ = 0;  // bytes of the guest's window that `upload_` stands for
  int64_t upload_total_ = 0;
  // Secrets: what stands for what on the way out, and what is taken out on the way in.
  std::optional<policy::StreamReplacer> upload_secrets_;
  std::shared_ptr<const policy::SecretIndex> secrets_;  // null: no secret ever goes there
  std::optional<policy::SecretFilter> body_filter_;
  std::string filtered_;       // waits for its block, or for its line's end
  size_t filtered_total_ = 0;  // that left it
  std::unique_ptr<boost::asio::steady_timer> line_timer_;

  int status_ = 0;
  std::string reason_;
  channel::Fields response_fields_;
  size_t header_bytes_ = 0, header_count_ = 0;
  std::optional<std::string> content_length_;
  bool chunked_ = false, responded_ = false;
  bool folds_ = false;    // the last field may go on in another line
  bool expects_ = false;  // 100 before its body is sent
  bool cut_off_ = false;  // what follows the head is not read
  bool sent_ = false;     // it may have reached the origin
  // For a client that sees the wire (channel/postern_fields.h).
  bool raw_ = false;
  std::vector<std::string> names_, trailer_names_;  // of the fields, as the origin wrote them
  channel::Fields trailers_;
  std::string peer_;  // " ADDRESS PORT"
  int informed_ = 0;
  std::shared_ptr<const bool> tls_ended_;  // whether the origin has said so

  std::string body_;
  size_t body_at_ = 0;
  bool body_paused_ = false;
  int64_t body_total_ = 0, period_bytes_ = 0;
  Clock::duration idle_left_{};     // of the idle clock, when it last stopped or began anew
  Clock::time_point idle_since_{};  // since when it runs
  Clock::time_point moved_{};       // when something last moved on a stream
  bool blocked_ = false;            // something waits for the guest: its clock runs instead

  std::optional<channel::Failure> failure_;
  const Clock::time_point started_;
  Clock::time_point total_deadline_, phase_deadline_ = Clock::time_point::max();

  // For the log.
  std::string about_;  // what both events say, as JSON members; empty before the first
  timeval started_at_{};
  Clock::time_point performed_{}, resolved_{};
  har::Timings timings_;
  std::string certificate_names_;  // of the one that was judged last
  std::string address_, tls_version_, http_version_;
  int64_t bytes_sent_ = 0;
  std::optional<channel::Failure> logged_failure_;
  std::unique_ptr<har::HarEntry> recorded_;  // with --record
  bool logged_end_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace postern::broker
