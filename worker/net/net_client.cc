#include "worker/net/net_client.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/format.h"
#include "base/text.h"
#include "channel/postern_fields.h"

namespace postern::worker {
namespace {

using channel::Failure;
using channel::FindField;

constexpr double kBrokerSilence =
    2.0;  // seconds of this loop's running without a byte from the broker
constexpr double kPingAfter = 0.5;
constexpr uint32_t kMaxStreams = 1000;
constexpr size_t kMaxCodings = 4;  // of one body

Failure BrokerLost(const std::string& why) {
  return {channel::kErrBrokerLost,
          fmt::format("the network broker was lost: {}; the request was not repeated", why)};
}

}  // namespace

bool NetClient::OpenChannel() {
  if (endpoint_ && !gone_) return true;
  endpoint_.reset();
  if (next_channel_ == limits_.channels) return false;
  UniqueFd in(channel::NetIn(next_channel_)), out(channel::NetOut(next_channel_));
  ++next_channel_;
  endpoint_ = std::make_unique<channel::Endpoint>(
      channel::Http2Session::Role::kGuestClient, kMaxStreams, *this, std::move(in), std::move(out));
  gone_ = false;
  silent_ = 0;
  pinged_ = false;
  return true;
}

void NetClient::Fetch(uint32_t id, Outgoing outgoing) {
  HttpStream& e = exchanges_[id];
  if (!channel::CheckFields(outgoing.fields)) {  // with so many they go in lower case
    std::erase_if(outgoing.fields,
                  [](const channel::Field& f) { return f.name == channel::kNames; });
  }
  if (Status s = channel::CheckFields(outgoing.fields); !s)
    return FailLater(
        id, {channel::kErrLimitOfRequest, fmt::format("the request has {}", s.error().message)});
  if (gone_ && endpoint_) OnLost("it closed the channel");
  if (!OpenChannel()) return FailLater(id, BrokerLost("it was replaced too often"));
  if (ids_.size() >= limits_.concurrent + limits_.queue) {
    return FailLater(
        id, {channel::kErrLimitOfConnections,
             fmt::format("{} requests wait already for one of the {} places (concurrent, queue)",
                         limits_.queue, limits_.concurrent)});
  }
  const bool idle = ids_.empty();
  e.upload = std::move(outgoing.body);
  e.upload_ended = !outgoing.streaming;
  e.endless = outgoing.endless;
  e.raw = outgoing.raw;
  const auto stream = endpoint_->session().Request(outgoing.fields, outgoing.has_body);
  if (!stream) return FailLater(id, {channel::kErrLimitOfRequest, stream.error().message});
  e.stream = *stream;
  ids_[*stream] = id;
  AddDue(queue_due_, limits_.queue_seconds, id, *stream);
  if (idle) silent_ = 0, pinged_ = false;
}

void NetClient::OnRequestSent(int32_t stream) {
  uint32_t id = 0;
  HttpStream* e = ByStream(stream, &id);
  if (e == nullptr) return;
  e->sent = true;
  AddDue(headers_due_, limits_.headers_seconds, id, stream);
  AddDue(total_due_, limits_.total_seconds, id, stream);
}

void NetClient::OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) {
  uint32_t id = 0;
  HttpStream* e = ByStream(stream, &id);
  if (e == nullptr) return;
  if (const std::string* status = FindField(fields, "proxy-status")) {
    const auto failure = channel::ParseProxyStatus(*status);
    return FailLater(
        id,
        failure ? *failure : Failure{channel::kErrBrokerLost, "the broker's answer is malformed"});
  }
  ResponseHead head = ReadHead(std::move(fields));
  if (e->responded) {  // an end of body without a failure
    if (e->raw && !head.fields.empty()) events_.OnTrailers(id, head.fields);
    return;
  }
  e->responded = head.status >= 200;
  if (e->responded && !end_stream && !e->raw) {
    if (auto failure = SetDecoders(*e, head.fields)) {
      endpoint_->session().Reset(stream, NGHTTP2_CANCEL);
      return FailLater(id, std::move(*failure));
    }
  }
  events_.OnResponse(id, head);
}

ResponseHead NetClient::ReadHead(channel::Fields fields) {
  ResponseHead head;
  std::string names;
  for (channel::Field& f : fields) {
    if (f.name == ":status") {
      std::from_chars(f.value.data(), f.value.data() + f.value.size(), head.status);
    } else if (f.name == channel::kStatusText) {
      head.status_text = channel::UnescapeText(f.value);
    } else if (f.name == channel::kNames) {
      names = std::move(f.value);
    } else if (f.name == channel::kConnection) {
      head.connection = std::move(f.value);
    } else if (f.name == channel::kUpgraded) {
      head.upgraded = true;
    } else if (f.name == channel::kContentLength) {
      head.fields.push_back({"content-length", std::move(f.value)});
    } else if (!f.name.starts_with(':')) {
      head.fields.push_back(std::move(f));
    }
  }
  const auto written = channel::SplitNames(names);
  if (written.size() != head.fields.size()) return head;
  for (size_t i = 0; i < written.size(); ++i) head.fields[i].name = written[i];
  return head;
}

std::optional<Failure> NetClient::SetDecoders(HttpStream& e, const channel::Fields& fields) {
  std::string coding;  // several fields are one list (RFC 9110 section 5.3)
  for (const channel::Field& f : fields) {
    if (f.name == "content-encoding") coding += (coding.empty() ? "" : ",") + f.value;
  }
  std::vector<std::unique_ptr<Decoder>> chain;
  for (const std::string_view part : SplitList(coding)) {
    std::string name = AsciiLower(part);
    std::erase_if(name, [](char c) { return c == ' ' || c == '\t'; });
    if (name.empty() || name == "identity") continue;
    auto decoder = Decoder::For(name);
    if (!decoder) return std::nullopt;  // handed on as it is, as browsers do
    // A long chain helps only a bomb.
    if (chain.size() == kMaxCodings) {
      return Failure{channel::kErrContentDecoding,
                     fmt::format("the body is coded more than {} times", kMaxCodings)};
    }
    chain.push_back(std::move(decoder));
  }
  std::reverse(chain.begin(), chain.end());
  e.decoders = std::move(chain);
  return std::nullopt;
}

void NetClient::OnClosed(int32_t stream, uint32_t error) {
  uint32_t id = 0;
  HttpStream* e = ByStream(stream, &id);
  ids_.erase(stream);
  if (e == nullptr || e->ended || e->failed()) return;
  FailLater(id, {channel::kErrBrokerLost,
                 fmt::format("the broker reset the request: {}", nghttp2_http2_strerror(error))});
}

void NetClient::OnLost(const std::string& why) {
  gone_ = true;
  FailAll(BrokerLost(why));
  endpoint_.reset();
}

// ---- the loop's side

void NetClient::OnReady(const std::function<short(int)>& ready, double waited) {
  if (Receive(ready)) {
    silent_ = 0, pinged_ = false;
  } else if (endpoint_ && !ids_.empty()) {
    silent_ += waited;
    if (silent_ >= kPingAfter && !pinged_) {
      pinged_ = true;
      endpoint_->session().Ping();
    }
    if (silent_ >= kBrokerSilence) OnLost("it stopped answering");
  }
  Expire();
  DeliverEvents();
}

void NetClient::AddDue(std::deque<Due>& due, double seconds, uint32_t id, int32_t stream) {
  // Requests that are over go from the front: a busy guest would keep minutes of them.
  while (!due.empty()) {
    const HttpStream* e = Find(due.front().id);
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
      HttpStream* e = Find(d.id);
      if (e == nullptr || e->ended || e->failed() || e->stream != d.stream) continue;
      if (over(*e)) continue;
      endpoint_->session().Reset(e->stream, NGHTTP2_CANCEL);
      FailLater(d.id, failure);
    }
  };
  expire(queue_due_, [](const HttpStream& e) { return e.sent; },
         {channel::kErrLimitOfConnections,
          fmt::format("the request waited too long for one of the {} places (queue_timeout)",
                      limits_.concurrent)});
  expire(headers_due_, [](const HttpStream& e) { return e.responded || !e.upload_ended; },
         {channel::kErrResponseTimeout, "the broker reported no response in time"});
  expire(total_due_, [](const HttpStream& e) { return e.endless && e.responded; },
         {channel::kErrTotalTimeout, "the broker reported no end of the response in time"});
}

double NetClient::Deadline() const {
  double due = HttpStreams::Deadline();
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
    if (!e.ref) continue;
    if (e.endless && !e.failed() && !e.ended)
      return true;  // an open socket is something to wait for
    if (!e.failure && (!e.responded || e.waiting || e.collecting || e.writable_wanted)) return true;
  }
  return false;
}

}  // namespace postern::worker
