// Request's TCP streams (CONNECT, RFC 9113 section 8.5) and WebSockets (extended CONNECT, RFC
// 8441).
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

#include "broker/net/net_binding.h"
#include "broker/net/request.h"
#include "broker/upstream/http_fields.h"
#include "channel/postern_fields.h"

namespace postern::broker {
namespace {

using channel::Failure;
using channel::Fields;
using channel::FindField;

constexpr size_t kBufferedStream = 256 * 1024;  // bytes for the guest before the origin must wait

}  // namespace

void Request::OpenTunnel() {
  Tunnel::Callbacks events;
  events.inform = [this](Fields information) { Inform(information); };
  events.open = [this](Fields response) { OnTunnelOpen(std::move(response)); };
  events.data = [this](std::string_view bytes) { OnTunnelData(bytes); };
  events.sent = [this](size_t n) {
    bytes_sent_ += static_cast<int64_t>(n);
    guest_.usage().bytes_out += n;
    moved_ = Clock::now();
    const size_t consumed = std::min(n, upload_unconsumed_);
    upload_unconsumed_ -= consumed;
    guest_.channel().session().Consume(stream_, consumed);
    guest_.channel().FlushSoon();
    if (OverTotalBytes()) Fail(TotalBytesFailure());
  };
  events.ended = [this](std::optional<Failure> failure) {
    if (failure) return Fail(std::move(*failure));
    StopTransfer();
    Complete();
  };
  auto& io = guest_.shared().io;
  if (kind_ == Kind::kTcp) {
    tunnel_ = std::make_shared<TcpTunnel>(io, easy_, tls_, url_.HostPort(), std::move(events));
  } else {
    Fields fields = OutgoingFields();
    std::erase_if(fields, [this](const channel::Field& f) {
      return (!raw_ && f.name == "accept-encoding") ||
             (!raw_ && f.name.starts_with("sec-websocket-") && f.name != "sec-websocket-protocol");
    });
    const Spellings spellings(FindField(request_fields_, channel::kNames));
    for (channel::Field& f : fields) f.name = spellings.Of(f.name);
    std::string host = url_.Origin();
    host.erase(0, host.find("://") + 3);
    std::string target = url_.path + url_.query;
    const policy::NetworkLimits& limits = guest_.policy().limits;
    tunnel_ =
        raw_ ? MakeUpgradeTunnel(io, easy_, tls_, url_.HostPort(), std::move(events),
                                 {std::move(host), std::move(target), std::move(fields)}, limits)
             : MakeWebSocketTunnel(io, easy_, tls_, url_.HostPort(), std::move(events),
                                   std::move(host), std::move(target), std::move(fields), limits);
  }
  tunnel_->Start();
}

void Request::OnTunnelOpen(Fields response) {
  std::from_chars(response[0].value.data(), response[0].value.data() + response[0].value.size(),
                  status_);
  const bool switched =
      kind_ == Kind::kTcp || !raw_ || FindField(response, channel::kUpgraded) != nullptr;
  if (kind_ == Kind::kWebSocket && switched) status_ = 101;
  if (raw_) response.push_back({channel::kConnection, "1.1" + peer_});
  if (const Status sent = guest_.channel().session().Respond(stream_, response, true); !sent) {
    return Fail({channel::kErrLimitOfHeaders,
                 url_.HostPort() + " answered what a guest cannot get: " + sent.error().message});
  }
  responded_ = true;
  const auto total = total_deadline_;
  EnterPhase(Phase::kStream);
  if (!switched) {  // it is an ordinary response
    total_deadline_ = total;
    SetDeadline(total);
  }
  guest_.channel().FlushSoon();
  if (!upload_.empty()) tunnel_->Send(std::exchange(upload_, {}));
  if (tunnel_ && upload_ended_) tunnel_->EndSending();
}

void Request::OnTunnelData(std::string_view bytes) {
  body_total_ += static_cast<int64_t>(bytes.size());
  guest_.usage().bytes_in += bytes.size();
  KeepForRecording(&har::HarEntry::response_body, bytes);
  moved_ = Clock::now();
  if (OverTotalBytes()) return Fail(TotalBytesFailure());
  if (body_at_ > kBufferedStream) body_.erase(0, std::exchange(body_at_, 0));
  body_ += bytes;
  if (body_.size() - body_at_ >= kBufferedStream) {
    body_paused_ = true;
    tunnel_->Pause(true);
  }
  guest_.channel().session().ResumeBody(stream_);
  guest_.channel().FlushSoon();
}

void Request::StartTls(const std::string& host, TcpTunnel::TlsDone done) {
  auto* tcp = dynamic_cast<TcpTunnel*>(tunnel_.get());
  if (tcp == nullptr || tls_ || phase_ != Phase::kStream) {
    return done(Failure{channel::kErrSocketState, "there is no plain stream"});
  }
  const LaterTls tls{guest_.shared().tls, host.empty() ? url_.host : host,
                     rule_ == nullptr ? nullptr : &rule_->tls};
  tcp->StartTls(tls, [alive = alive_, done = std::move(done)](std::optional<Failure> failure) {
    if (*alive) done(std::move(failure));
  });
}

}  // namespace postern::broker
