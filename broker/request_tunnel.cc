// Request's TCP streams (CONNECT, RFC 9113 section 8.5) and WebSockets (extended CONNECT, RFC
// 8441).
#include <algorithm>
#include <cstdint>

#include "broker/http_fields.h"
#include "broker/net_guest.h"
#include "broker/request.h"

namespace postern::broker {
namespace {

using channel::Failure;
using channel::Fields;

constexpr size_t kBufferedStream = 256 * 1024;  // bytes for the guest before the origin must wait

}  // namespace

void Request::OpenTunnel() {
  Tunnel::Events events;
  events.open = [this](const Fields& fields) { OnTunnelOpen(fields); };
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
    Done();
  };
  auto& io = guest_.shared().io;
  if (kind_ == Kind::kTcp) {
    tunnel_ = std::make_shared<TcpTunnel>(io, easy_, tls_, url_.HostPort(), std::move(events));
  } else {
    Fields fields = OutgoingFields();
    std::erase_if(fields, [](const channel::Field& f) {
      return f.name == "accept-encoding" ||
             (f.name.starts_with("sec-websocket-") && f.name != "sec-websocket-protocol");
    });
    const std::string origin = url_.Origin();
    tunnel_ = MakeWebSocketTunnel(io, easy_, tls_, url_.HostPort(), std::move(events),
                                  origin.substr(origin.find("://") + 3), url_.path + url_.query,
                                  std::move(fields), guest_.policy().limits);
  }
  tunnel_->Start();
}

void Request::OnTunnelOpen(const Fields& fields) {
  status_ = kind_ == Kind::kTcp ? 200 : 101;
  Fields response = {{":status", "200"}};
  response.insert(response.end(), fields.begin(), fields.end());
  if (const Status sent = guest_.channel().session().Respond(stream_, response, true); !sent) {
    return Fail({"http_response_header_section_size", "ERR_LIMIT",
                 url_.HostPort() + " answered what a guest cannot get: " + sent.error().message});
  }
  responded_ = true;
  Enter(Phase::kStream);
  guest_.channel().FlushSoon();
  if (!upload_.empty()) tunnel_->Send(std::exchange(upload_, {}));
  if (tunnel_ && upload_ended_) tunnel_->EndSending();
}

void Request::OnTunnelData(std::string_view bytes) {
  body_total_ += static_cast<int64_t>(bytes.size());
  guest_.usage().bytes_in += bytes.size();
  KeepForRecording(&har::Exchange::response_body, bytes);
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
    return done(Failure{"http_request_denied", "ERR_SOCKET_STATE", "there is no plain stream"});
  }
  const LaterTls tls{guest_.shared().tls, host.empty() ? url_.host : host,
                     rule_ == nullptr ? nullptr : &rule_->tls};
  tcp->StartTls(tls, [alive = alive_, done = std::move(done)](std::optional<Failure> failure) {
    if (*alive) done(std::move(failure));
  });
}

}  // namespace postern::broker
