// Request's TCP streams (CONNECT, RFC 9113 section 8.5) and WebSockets (extended CONNECT, RFC
// 8441).
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

#include "base/format.h"
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
    CountSent(n);
    deadlines_.Moved(Clock::now());
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
  if (target_.kind == RequestKind::kTcp) {
    tunnel_ = exchange_->OpenStream(std::move(events));
  } else {
    Fields fields = OutgoingFields();
    std::erase_if(fields, [this](const channel::Field& f) {
      return (!raw_ && f.name == "accept-encoding") ||
             (!raw_ && f.name.starts_with("sec-websocket-") && f.name != "sec-websocket-protocol");
    });
    const Spellings spellings(FindField(request_fields_, channel::kNames));
    for (channel::Field& f : fields) f.name = spellings.Of(f.name);
    std::string host = target_.url.Origin();
    host.erase(0, host.find("://") + 3);
    tunnel_ = exchange_->OpenWebSocket(
        std::move(events), !raw_,
        {std::move(host), target_.url.path + target_.url.query, std::move(fields)},
        guest_.policy().limits);
  }
  tunnel_->Start();
}

void Request::OnTunnelOpen(Fields response) {
  int status = 0;
  const std::string& written = response[0].value;
  std::from_chars(written.data(), written.data() + written.size(), status);
  const bool switched = target_.kind == RequestKind::kTcp || !raw_ ||
                        FindField(response, channel::kUpgraded) != nullptr;
  head_->Set(target_.kind == RequestKind::kWebSocket && switched ? 101 : status, "", {});
  if (raw_) response.push_back({channel::kConnection, fmt::format("1.1{}", peer_)});
  if (const Status sent = guest_.channel().session().Respond(stream_, response, true); !sent) {
    return Fail(
        {channel::kErrLimitOfHeaders, fmt::format("{} answered what a guest cannot get: {}",
                                                  target_.url.HostPort(), sent.error().message)});
  }
  responded_ = true;
  deadlines_.EnterStream(switched, Clock::now());  // else it is an ordinary response
  guest_.WakeAt(deadlines_.next());
  guest_.channel().FlushSoon();
  if (!upload_.empty()) tunnel_->Send(std::exchange(upload_, {}));
  if (tunnel_ && upload_ended_) tunnel_->EndSending();
}

void Request::OnTunnelData(std::string_view bytes) {
  body_total_ += static_cast<int64_t>(bytes.size());
  guest_.usage().bytes_in += bytes.size();
  record_.KeepResponseBody(bytes);
  deadlines_.Moved(Clock::now());
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
  if (tcp == nullptr || target_.tls || deadlines_.phase() != Phase::kStream) {
    return done(Failure{channel::kErrSocketState, "there is no plain stream"});
  }
  const LaterTls tls{guest_.shared().tls, host.empty() ? target_.url.host : host,
                     rule_ == nullptr ? nullptr : &rule_->tls};
  tcp->StartTls(tls, owner_.WhileHere(std::move(done)));
}

}  // namespace postern::broker
