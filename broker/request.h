// Request: one request of a guest, from its decision to its last byte, whatever happens.
//
// Phases: decide, resolve, connect, TLS, send and wait for headers, body. Each has a deadline,
// armed when the phase begins; a total runs over all of them. However it ends, the guest gets a
// response or a failure that names the cause, once.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <optional>
#include <string>

#include "channel/failure.h"
#include "policy/policy.h"

namespace postern::broker {

class NetGuest;

class Request {
 public:
  Request(NetGuest& guest, int32_t stream);
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  void Start(channel::Fields fields, bool has_body);
  void OnUpload(std::span<const uint8_t> data);
  void OnUploadEnd();
  size_t ReadBody(std::span<uint8_t> out, bool* end, channel::Fields* trailers);

  using Clock = std::chrono::steady_clock;
  // Ends the request if its deadline has passed. Returns when to look again.
  Clock::time_point CheckDeadline(Clock::time_point now);

 private:
  enum class Phase { kDecide, kResolve, kConnect, kTls, kSend, kHeaders, kBody, kDone };

  std::optional<channel::Failure> Decide(const channel::Fields& fields);
  void Resolve();
  void Connect(const std::vector<policy::IpAddress>& addresses);
  void SetUp(CURL* easy);
  void SetUpMethod();
  void Finished(CURLcode code);
  void Fail(channel::Failure failure);
  void StopTransfer();

  void Enter(Phase phase);
  void Arm(Clock::time_point deadline);
  void Expired(Clock::time_point now);
  void ExpiredInBody();
  std::optional<std::string> Blocked(const policy::IpAddress& address) const;

  // libcurl's callbacks.
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);
  static size_t OnSend(char* buffer, size_t size, size_t count, void* self);
  static curl_socket_t OnOpenSocket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static CURLcode OnTlsStart(CURL* easy, void* ssl_context, void* self);
  static int OnConnected(void* self, char*, char*, int, int);
  bool TakeHeaderLine(std::string_view line);
  bool EndOfHeaders();
  void ResumeIfDrained();
  void CountProgress(size_t bytes);
  void RunIdleClock();
  void WaitForGuest();

  NetGuest& guest_;
  const int32_t stream_;
  Phase phase_ = Phase::kDecide;
  policy::Url url_;
  std::string method_;
  const policy::Rule* rule_ = nullptr;
  channel::Fields request_fields_;

  CURL* easy_ = nullptr;
  bool running_ = false;
  curl_slist* header_list_ = nullptr;
  curl_slist* resolve_list_ = nullptr;
  char error_text_[CURL_ERROR_SIZE] = {};
  uint64_t resolving_ = 0;
  std::vector<policy::IpAddress> addresses_;  // the checked ones: connections go to these only

  bool has_upload_ = false, upload_ended_ = false, upload_paused_ = false;
  std::string upload_;
  size_t upload_at_ = 0;
  int64_t upload_total_ = 0;

  int status_ = 0;
  std::string reason_;
  channel::Fields response_fields_;
  size_t header_bytes_ = 0, header_count_ = 0;
  std::optional<std::string> content_length_;
  bool responded_ = false;

  std::string body_;
  size_t body_at_ = 0;
  bool body_paused_ = false, body_complete_ = false;
  int64_t body_total_ = 0, period_bytes_ = 0;
  Clock::duration idle_left_{};     // of the idle clock, when it last stopped or began anew
  Clock::time_point idle_since_{};  // since when it runs
  bool blocked_ = false;            // something waits for the guest: its clock runs instead

  std::optional<channel::Failure> failure_;
  const Clock::time_point started_;
  Clock::time_point total_deadline_, phase_deadline_ = Clock::time_point::max();
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace postern::broker
