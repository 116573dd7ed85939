// Request: one request of a guest, from its decision to its last byte, whatever happens.
//
// Phases: decide, record the decision, resolve, connect, TLS, send and wait for headers, body. Each
// has a deadline, armed when the phase begins; a total runs over all of them. However it ends, the
// guest gets a response or a failure that names the cause, once, and the log gets its two events.
//
// Its parts are types of their own: RequestTarget what it is for, Deadlines its clocks,
// OutgoingRequest what leaves, ResponseReader and BodyFilter what comes back, RequestRecord what is
// kept of it. Request owns one of each and orders them: request.cc has the course of things and the
// guest's side, request_decide.cc the decision, request_upstream.cc what the upstream is asked
// for and asks, request_response.cc the response, and request_tunnel.cc TCP streams and WebSockets.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/net/body_filter.h"
#include "broker/net/deadlines.h"
#include "broker/net/outgoing.h"
#include "broker/net/request_record.h"
#include "broker/net/request_target.h"
#include "broker/net/response_reader.h"
#include "broker/upstream/tunnel.h"
#include "broker/upstream/upstream.h"
#include "channel/failure.h"
#include "loop/owner.h"
#include "policy/decision.h"
#include "policy/secrets/stream_replacer.h"

namespace postern::broker {

class NetBinding;

class Request : private UpstreamObserver {
 public:
  Request(NetBinding& guest, int32_t stream);
  ~Request() override;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  void Start(channel::Fields fields, bool has_body);
  void OnUpload(std::span<const uint8_t> data);
  void OnUploadEnd();
  size_t ReadBody(std::span<uint8_t> out, bool* end, channel::Fields* trailers);
  // A TCP stream's TLS begins; `done` is called once, unless this ends before.
  void StartTls(const std::string& host, TcpTunnel::TlsDone done);

  using Clock = Deadlines::Clock;
  // Ends the request if its deadline has passed. Returns when to look again.
  Clock::time_point CheckDeadline(Clock::time_point now);

 private:
  // ---- the course of things
  std::optional<channel::Failure> Decide(const channel::Fields& fields);
  std::optional<channel::Failure> CheckLimits();
  void Record();
  void Perform();
  void Resolve();
  void ResolveProxy();
  void Check(const std::vector<IpAddress>& addresses);
  void SendAddresses();
  void Connect();
  void ReplayNow();
  void Complete();
  void Fail(channel::Failure failure);
  void FailBehindBody(channel::Failure failure);
  void StopTransfer();
  std::optional<std::string> Blocked(const IpAddress& address) const;
  bool OverTotalBytes() const;
  channel::Failure TotalBytesFailure() const;

  // ---- TCP streams and WebSockets (request_tunnel.cc)
  void OpenTunnel();
  void OnTunnelOpen(channel::Fields response);
  void OnTunnelData(std::string_view bytes);

  // ---- clocks
  void EnterPhase(Phase phase);
  void WaitForGuest();
  bool WaitsForUpload() const;

  // ---- the upstream
  OutgoingRequest Outgoing() const;
  channel::Fields OutgoingFields() const;
  UpstreamRequest ForUpstream() const;
  bool MayConnect(const IpAddress& address) override { return !Blocked(address); }
  void OnConnecting() override;
  void OnTlsStart() override { EnterPhase(Phase::kTls); }
  void OnConnected(const UpstreamPeer& peer) override;
  size_t ReadUpload(std::span<char> out, bool* end) override;
  LineTaken OnHeaderLine(std::string_view line) override;
  BodyTaken OnBody(std::string_view bytes) override;
  ResponseShape Shape() const override;
  void OnConnection() override { OpenTunnel(); }
  void OnEnded(std::optional<channel::Failure> failure) override;
  void PutSecretsInUpload();
  void ConsumeUpload();
  void CountSent(size_t bytes);

  // ---- the response
  bool EndOfHeaders();
  void Inform(const channel::Fields& information);
  bool ReceiveBody(std::string_view data);
  bool CountBody(size_t bytes);
  void AppendBody(std::string_view bytes);
  void ReleaseLinesAfterPause();
  bool EndBody();
  void ResumeIfDrained();

  // ---- events
  void NoteTransfer();
  void LogEnd();

  NetBinding& guest_;
  const int32_t stream_;
  const uint64_t number_;  // of this request among the guest's
  RequestTarget target_;
  const policy::Rule* rule_ = nullptr;  // null in report mode, where none allowed it
  channel::Fields request_fields_;

  std::unique_ptr<UpstreamExchange> exchange_;
  std::shared_ptr<Tunnel> tunnel_;  // over its connection
  uint64_t resolving_ = 0;
  std::vector<IpAddress> addresses_;        // the checked ones, of the origin
  std::vector<IpAddress> proxy_addresses_;  // with a proxy connections go to these only

  bool has_upload_ = false, upload_ended_ = false;
  std::string upload_;
  size_t upload_at_ = 0;
  size_t upload_unconsumed_ = 0;  // bytes of the guest's window that `upload_` stands for
  int64_t upload_total_ = 0;
  // Secrets: what stands for what on the way out, and what is taken out on the way in.
  std::optional<policy::StreamReplacer> upload_secrets_;
  std::shared_ptr<const policy::SecretIndex> secrets_;  // null: no secret ever goes there
  std::optional<BodyFilter> body_filter_;
  std::unique_ptr<boost::asio::steady_timer> line_timer_;

  std::optional<ResponseReader> head_;  // once it is performed
  bool responded_ = false;
  bool expects_ = false;  // 100 before its body is sent
  bool cut_off_ = false;  // what follows the head is not read
  // For a client that sees the wire (channel/postern_fields.h).
  bool raw_ = false;
  std::string peer_;  // " ADDRESS PORT"
  int informed_ = 0;

  std::string body_;
  size_t body_at_ = 0;
  bool body_paused_ = false;
  int64_t body_total_ = 0;
  std::optional<channel::Failure> failure_;  // why something was refused; told behind the body
  Deadlines deadlines_;
  RequestRecord record_;
  loop::Owner owner_;
};

}  // namespace postern::broker
