#include "worker/net_client.h"

#include <poll.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "worker/spare_fds.h"

namespace postern::worker {
namespace {

using channel::Failure;
using channel::FindField;

constexpr double kBrokerSilence =
    2.0;  // seconds of this loop's running without a byte from the broker
constexpr double kPingAfter = 0.5;
constexpr size_t kPieceBytes = 64 * 1024;
constexpr size_t kUploadBuffer = 256 * 1024;
constexpr uint32_t kMaxStreams = 1000;

Failure BrokerLost(const std::string& why) {
  return {"proxy_internal_error", "ERR_BROKER_LOST",
          "the network broker was lost: " + why + "; the request was not repeated"};
}

}  // namespace

bool NetClient::OpenChannel() {
  if (endpoint_ && !gone_) return true;
  endpoint_.reset();
  if (next_channel_ == kNetChannels) return false;
  UniqueFd in(NetIn(next_channel_)), out(NetOut(next_channel_));
  ++next_channel_;
  endpoint_ = std::make_unique<channel::Endpoint>(channel::Http2Session::Role::kClient, kMaxStreams,
                                                  *this, std::move(in), std::move(out));
  gone_ = false;
  silent_ = 0;
  pinged_ = false;
  return true;
}

NetClient::Exchange* NetClient::Find(uint32_t id) {
  const auto e = exchanges_.find(id);
  return e == exchanges_.end() ? nullptr : &e->second;
}

NetClient::Exchange* NetClient::ByStream(int32_t stream, uint32_t* id) {
  const auto i = ids_.find(stream);
  if (i == ids_.end()) return nullptr;
  *id = i->second;
  return Find(i->second);
}

void NetClient::Fetch(uint32_t id, Outgoing outgoing) {
  Exchange& e = exchanges_[id];
  size_t header_bytes = 0;
  for (const channel::Field& f : outgoing.fields)
    header_bytes += f.name.size() + f.value.size() + 32;
  if (header_bytes > channel::kMaxHeaderBytes) {
    return FailLater(id, {"http_request_denied", "ERR_LIMIT",
                          "the URL and header fields of the request are larger than " +
                              std::to_string(channel::kMaxHeaderBytes) + " bytes"});
  }
  if (gone_ && endpoint_) LoseBroker("it closed the channel");
  if (!OpenChannel()) return FailLater(id, BrokerLost("it was replaced too often"));
  if (ids_.size() >= limits_.concurrent + limits_.queue) {
    return FailLater(id, {"connection_limit_reached", "ERR_LIMIT",
                          std::to_string(limits_.queue) + " requests wait already for one of the " +
                              std::to_string(limits_.concurrent) + " places (concurrent, queue)"});
  }
  const bool idle = ids_.empty();
  e.upload = std::move(outgoing.body);
  e.upload_ended = !outgoing.streaming;
  e.endless = outgoing.endless;
  const auto stream = endpoint_->session().Request(outgoing.fields, outgoing.has_body);
  if (!stream)
    return FailLater(id, {"proxy_internal_error", "ERR_BROKER_LOST", stream.error().message});
  e.stream = *stream;
  ids_[*stream] = id;
  AddDue(queue_due_, limits_.queue_seconds, id, *stream);
  if (idle) silent_ = 0, pinged_ = false;
}

size_t NetClient::Write(uint32_t id, std::span<const uint8_t> bytes, bool all) {
  Exchange* e = Find(id);
  if (e == nullptr || e->failure || e->upload_ended) return 0;
  if (e->upload_at > kUploadBuffer) e->upload.erase(0, std::exchange(e->upload_at, 0));
  e->upload.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  endpoint_->session().ResumeBody(e->stream);
  const size_t waiting = e->upload.size() - e->upload_at;
  e->writable_wanted = waiting >= (all ? 1 : kUploadBuffer);
  return e->writable_wanted ? waiting : 0;
}

int32_t NetClient::StreamOf(uint32_t id) {
  const Exchange* e = Find(id);
  return e == nullptr ? 0 : e->stream;
}

void NetClient::EndWrite(uint32_t id) {
  Exchange* e = Find(id);
  if (e == nullptr || e->failure) return;
  e->upload_ended = true;
  endpoint_->session().ResumeBody(e->stream);
}

size_t NetClient::ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                           channel::Fields* /*trailers*/) {
  uint32_t id = 0;
  Exchange* e = ByStream(stream, &id);
  if (e == nullptr) {
    *end = true;
    return 0;
  }
  const size_t n = std::min(out.size(), e->upload.size() - e->upload_at);
  std::memcpy(out.data(), e->upload.data() + e->upload_at, n);
  e->upload_at += n;
  if (e->upload_at == e->upload.size()) {
    e->upload.clear();
    e->upload_at = 0;
    *end = e->upload_ended;
    if (e->writable_wanted) deliveries_.push_back(id);
  }
  return n;
}

void NetClient::OnRequestSent(int32_t stream) {
  uint32_t id = 0;
  Exchange* e = ByStream(stream, &id);
  if (e == nullptr) return;
  e->sent = true;
  AddDue(headers_due_, limits_.headers_seconds, id, stream);
  AddDue(total_due_, limits_.total_seconds, id, stream);
}

void NetClient::OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) {
  uint32_t id = 0;
  Exchange* e = ByStream(stream, &id);
  if (e == nullptr) return;
  if (const std::string* status = FindField(fields, "proxy-status")) {
    const auto failure = channel::ParseProxyStatus(*status);
    return FailLater(id, failure ? *failure
                                 : Failure{"proxy_internal_error", "ERR_BROKER_LOST",
                                           "the broker's answer is malformed"});
  }
  if (e->responded) return;  // an end of body without a failure
  int code = 0;
  if (const std::string* status = FindField(fields, ":status"))
    std::from_chars(status->data(), status->data() + status->size(), code);
  std::string text;
  channel::Fields shown;
  for (channel::Field& f : fields) {
    if (f.name == "postern-status-text")
      text = channel::UnescapeText(f.value);
    else if (f.name == channel::kContentLength)
      shown.push_back({"content-length", f.value});
    else if (!f.name.starts_with(':'))
      shown.push_back(std::move(f));
  }
  e->responded = true;
  if (!end_stream) SetDecoders(*e, shown);
  events_.OnResponse(id, code, text, shown);
}

void NetClient::SetDecoders(Exchange& e, const channel::Fields& fields) {
  const std::string* coding = FindField(fields, "content-encoding");
  if (coding == nullptr) return;
  std::vector<std::unique_ptr<Decoder>> chain;
  for (size_t at = 0; at <= coding->size();) {
    const size_t comma = std::min(coding->find(',', at), coding->size());
    std::string name = coding->substr(at, comma - at);
    at = comma + 1;
    std::erase_if(name, [](char c) { return c == ' ' || c == '\t'; });
    std::transform(name.begin(), name.end(), name.begin(), ::tolower);
    if (name.empty() || name == "identity") continue;
    auto decoder = Decoder::For(name);
    // An unknown coding is handed on as it is, as browsers do; a long chain helps only a bomb.
    if (!decoder || chain.size() == 4) return;
    chain.push_back(std::move(decoder));
  }
  std::reverse(chain.begin(), chain.end());
  e.decoders = std::move(chain);
}

void NetClient::OnData(int32_t stream, std::span<const uint8_t> data) {
  uint32_t id = 0;
  Exchange* e = ByStream(stream, &id);
  if (e == nullptr || e->failure) {
    endpoint_->session().Consume(stream, data.size());
    return;
  }
  e->received.emplace_back(reinterpret_cast<const char*>(data.data()), data.size());
  e->any_received = true;
  if (e->waiting || e->collecting) deliveries_.push_back(id);
}

void NetClient::OnEndOfBody(int32_t stream) {
  uint32_t id = 0;
  Exchange* e = ByStream(stream, &id);
  if (e == nullptr) return;
  e->ended = true;
  if (e->waiting || e->collecting) deliveries_.push_back(id);
}

void NetClient::OnClosed(int32_t stream, uint32_t error) {
  uint32_t id = 0;
  Exchange* e = ByStream(stream, &id);
  ids_.erase(stream);
  if (e == nullptr || e->ended || e->failure) return;
  FailLater(id, {"proxy_internal_error", "ERR_BROKER_LOST",
                 std::string("the broker reset the request: ") + nghttp2_http2_strerror(error)});
}

void NetClient::FailLater(uint32_t id, Failure failure) {
  Exchange* e = Find(id);
  if (e == nullptr || e->failure) return;
  e->failure = failure;
  e->received.clear();
  failures_.emplace_back(id, std::move(failure));
}

void NetClient::LoseBroker(const std::string& why) {
  gone_ = true;
  const auto lost = std::exchange(ids_, {});
  for (const auto& [stream, id] : lost) {
    if (const Exchange* e = Find(id); e != nullptr && !e->ended) FailLater(id, BrokerLost(why));
  }
  endpoint_.reset();
}

std::string NetClient::TakeReceived(Exchange& e) {
  if (e.received.empty()) return {};
  std::string piece = std::move(e.received.front());
  e.received.pop_front();
  if (endpoint_ && ids_.contains(e.stream)) endpoint_->session().Consume(e.stream, piece.size());
  return piece;
}

// One decoding step. True: `out` has bytes, or more input was taken. False: needs more input.
Result<bool> NetClient::DecodePiece(Exchange& e, std::string* out) {
  if (e.undecoded.empty()) e.undecoded = TakeReceived(e);
  std::string in = std::move(e.undecoded);
  e.undecoded.clear();
  for (size_t i = 0; i < e.decoders.size(); ++i) {
    std::string decoded(kPieceBytes, '\0');
    size_t used = 0;
    const auto n =
        e.decoders[i]->Decode({reinterpret_cast<const uint8_t*>(in.data()), in.size()}, &used,
                              {reinterpret_cast<uint8_t*>(decoded.data()), decoded.size()});
    if (!n) return n.error();
    decoded.resize(*n);
    // Only the first stage may leave input behind; later ones get small pieces and take all of
    // them.
    if (i == 0)
      e.undecoded = in.substr(used);
    else if (used < in.size())
      return Error{"the body is coded more often than can be undone"};
    in = std::move(decoded);
  }
  *out = std::move(in);
  return !out->empty() || !e.undecoded.empty() || !e.received.empty();
}

NetClient::ReadState NetClient::NextPiece(Exchange& e, std::string* out) {
  out->clear();
  if (e.decoders.empty()) {
    *out = TakeReceived(e);
  } else {
    while (out->empty()) {
      const bool had_input = !e.undecoded.empty() || !e.received.empty();
      const auto step = DecodePiece(e, out);
      if (!step) {
        e.failure = Failure{"http_response_content_coding", "ERR_CONTENT_DECODING",
                            "the body cannot be decoded: " + step.error().message};
        return ReadState::kEnd;
      }
      if (!*step || (!had_input && out->empty())) break;
    }
    e.decoded_bytes += static_cast<int64_t>(out->size());
    if (e.decoded_bytes > limits_.response_bytes) {
      e.failure = Failure{"http_response_body_size", "ERR_LIMIT",
                          "the decoded body is larger than the limit of " +
                              std::to_string(limits_.response_bytes) + " bytes (response_bytes)"};
      return ReadState::kEnd;
    }
  }
  if (!out->empty()) return ReadState::kData;
  if (!e.ended) return ReadState::kWait;
  if (!e.decoders.empty() && !e.decoders.front()->Finished() && e.any_received) {
    e.failure = Failure{"http_response_incomplete", "ERR_RESPONSE_INCOMPLETE",
                        "the compressed body was cut short"};
  }
  return ReadState::kEnd;
}

NetClient::ReadState NetClient::Read(uint32_t id, std::string* out) {
  Exchange* e = Find(id);
  if (e == nullptr) return ReadState::kEnd;
  if (e->failure) return ReadState::kWait;  // OnFailure is on its way
  const ReadState state = NextPiece(*e, out);
  if (e->failure) {
    if (endpoint_ && ids_.contains(e->stream))
      endpoint_->session().Reset(e->stream, NGHTTP2_CANCEL);
    failures_.emplace_back(id, *e->failure);
    return ReadState::kWait;
  }
  e->waiting = state == ReadState::kWait;
  if (state == ReadState::kEnd) exchanges_.erase(id);
  return state;
}

void NetClient::Collect(uint32_t id) {
  Exchange* e = Find(id);
  if (e == nullptr || e->failure) return;
  e->collecting = true;
  deliveries_.push_back(id);
}

void NetClient::Deliver(uint32_t id, Exchange& e) {
  if (e.writable_wanted && e.upload.empty()) {
    e.writable_wanted = false;
    events_.OnWritable(id);
    return;  // `e` may be gone
  }
  if (e.failure) return;
  if (!e.collecting) {
    if (std::exchange(e.waiting, false)) events_.OnReadable(id);
    return;
  }
  std::string piece;
  ReadState state;
  while ((state = NextPiece(e, &piece)) == ReadState::kData && e.held.Add(piece.size())) {
    e.collected_bytes += piece.size();
    e.collected.push_back(std::move(piece));
  }
  std::optional<std::string> body;
  if (state == ReadState::kEnd && !e.failure) body = Join(e);
  if (!e.failure && (state == ReadState::kData || (state == ReadState::kEnd && !body))) {
    e.failure = Failure{"http_response_body_size", "ERR_LIMIT",
                        "the body does not fit into this guest's memory (--memory)"};
  }
  if (e.failure) {
    if (endpoint_ && ids_.contains(e.stream)) endpoint_->session().Reset(e.stream, NGHTTP2_CANCEL);
    failures_.emplace_back(id, *e.failure);
  } else if (body) {
    exchanges_.erase(id);
    events_.OnCollected(id, std::move(*body));
  }
}

std::optional<std::string> NetClient::Join(Exchange& e) {
  if (e.collected.size() == 1) return std::move(e.collected[0]);
  if (!e.held.Add(e.collected_bytes)) return std::nullopt;
  std::string body;
  body.reserve(e.collected_bytes);
  for (std::string& piece : e.collected) {
    body += piece;
    piece = {};
  }
  return body;
}

void NetClient::Cancel(uint32_t id) {
  Exchange* e = Find(id);
  if (e == nullptr) return;
  if (endpoint_ && ids_.contains(e->stream)) {
    endpoint_->session().Reset(e->stream, NGHTTP2_CANCEL);
    ids_.erase(e->stream);
  }
  exchanges_.erase(id);
}

// ---- the loop's side

void NetClient::Interest(const std::function<void(int, short)>& want) {
  if (!endpoint_) return;
  if (const auto flushed = endpoint_->Flush(); !flushed) {
    LoseBroker(flushed.error().message);
    return;
  } else {
    out_full_ = !*flushed;
  }
  want(endpoint_->in(), POLLIN);
  if (out_full_) want(endpoint_->out(), POLLOUT);
}

void NetClient::Ready(const std::function<short(int)>& ready, double waited) {
  if (endpoint_) {
    if (ready(endpoint_->in()) != 0) {
      const auto outcome = endpoint_->Read();
      if (!outcome)
        LoseBroker(outcome.error().message);
      else if (*outcome == channel::Endpoint::ReadOutcome::kClosed)
        LoseBroker("it ended");
      else
        silent_ = 0, pinged_ = false;
    } else if (!ids_.empty()) {
      silent_ += waited;
      if (silent_ >= kPingAfter && !pinged_) {
        pinged_ = true;
        endpoint_->session().Ping();
      }
      if (silent_ >= kBrokerSilence) LoseBroker("it stopped answering");
    }
  }
  Expire();
  for (const uint32_t id : std::exchange(deliveries_, {})) {
    if (Exchange* e = Find(id)) Deliver(id, *e);
  }
  for (const auto& [id, failure] : std::exchange(failures_, {})) {
    if (exchanges_.erase(id) != 0) events_.OnFailure(id, failure);
  }
}

void NetClient::AddDue(std::deque<Due>& due, double seconds, uint32_t id, int32_t stream) {
  // Requests that are over go from the front: a busy guest would keep minutes of them.
  while (!due.empty()) {
    const Exchange* e = Find(due.front().id);
    if (e != nullptr && !e->ended && e->stream == due.front().stream) break;
    due.pop_front();
  }
  due.push_back({MonotonicSeconds() + seconds, id, stream});
}

void NetClient::Expire() {
  const double now = MonotonicSeconds();
  const auto expire = [&](std::deque<Due>& due, const auto& over, const Failure& failure) {
    while (!due.empty() && due.front().when <= now) {
      const Due d = due.front();
      due.pop_front();
      Exchange* e = Find(d.id);
      if (e == nullptr || e->ended || e->failure || e->stream != d.stream) continue;
      if (over(*e)) continue;
      endpoint_->session().Reset(e->stream, NGHTTP2_CANCEL);
      FailLater(d.id, failure);
    }
  };
  expire(queue_due_, [](const Exchange& e) { return e.sent; },
         {"connection_limit_reached", "ERR_LIMIT",
          "the request waited too long for one of the " + std::to_string(limits_.concurrent) +
              " places (queue_timeout)"});
  expire(
      headers_due_, [](const Exchange& e) { return e.responded || !e.upload_ended; },
      {"http_response_timeout", "ERR_RESPONSE_TIMEOUT", "the broker reported no response in time"});
  expire(total_due_, [](const Exchange& e) { return e.endless && e.responded; },
         {"http_response_timeout", "ERR_TOTAL_TIMEOUT",
          "the broker reported no end of the response in time"});
}

double NetClient::Deadline() const {
  double due = std::numeric_limits<double>::infinity();
  if (!failures_.empty() || !deliveries_.empty()) return 0;
  if (!queue_due_.empty()) due = std::min(due, queue_due_.front().when);
  if (!headers_due_.empty()) due = std::min(due, headers_due_.front().when);
  if (!total_due_.empty()) due = std::min(due, total_due_.front().when);
  if (endpoint_ && !ids_.empty()) {
    due = std::min(due, MonotonicSeconds() +
                            std::max(0.001, (pinged_ ? kBrokerSilence : kPingAfter) - silent_));
  }
  return due;
}

bool NetClient::Pending() const {
  if (!failures_.empty() || !deliveries_.empty()) return true;
  for (const auto& [id, e] : exchanges_) {
    if (e.endless && !e.failure && !e.ended)
      return true;  // an open socket is something to wait for
    if (!e.failure && (!e.responded || e.waiting || e.collecting || e.writable_wanted)) return true;
  }
  return false;
}

}  // namespace postern::worker
