#include "server/handler/handler_instance.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <charconv>

#include "base/format.h"
#include "channel/connection_fields.h"

namespace postern::server {
namespace {

using channel::Field;
using channel::Fields;
using run_api::Outcome;

constexpr uint32_t kNoStreams = 0;  // a guest opens none
constexpr auto kPongWithin = std::chrono::milliseconds(1'000);
// For what a guest has promised to finish after its last answer (waitUntil).
constexpr auto kLeaveWithin = std::chrono::milliseconds(10'000);

// What belongs to a connection is not passed on, nor what would end a field early.
bool MayPass(const Field& f) {
  if (f.name.empty() || f.name[0] == ':' || f.name == "date" || channel::IsConnectionField(f.name))
    return false;
  const auto breaks = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
  return std::none_of(f.name.begin(), f.name.end(), breaks) &&
         std::none_of(f.value.begin(), f.value.end(), breaks) &&
         f.name.find_first_of(": \t") == std::string::npos;
}

}  // namespace

HandlerInstance::HandlerInstance(boost::asio::io_context& io, uint64_t id, const Options& options,
                                 Callbacks events)
    : io_(io),
      id_(id),
      options_(options),
      events_(std::move(events)),
      patience_(io, [this] { OnPatience(); }),
      pong_by_(io,
               [this] {
                 if (awaiting_pong_) EndNow("the guest does not come back to its event loop");
               }),
      leave_by_(io, [this] { EndNow("the guest did not end when it was told to"); }) {}

void HandlerInstance::Post(std::function<void()> call) {
  boost::asio::post(io_, [self = shared_from_this(), call = std::move(call)] {
    if (call) call();
  });
}

void HandlerInstance::OnChannel(UniqueFd from_guest, UniqueFd to_guest) {
  channel::GrowPipe(to_guest.get(), channel::kActivePipeBytes);
  channel::GrowPipe(from_guest.get(), channel::kActivePipeBytes);
  for (const int fd : {from_guest.get(), to_guest.get()}) {
    if (Status s = channel::SetNonBlocking(fd); !s) return EndNow(s.error().message);
  }
  channel_ = std::make_unique<loop::GuestChannel>(
      io_, channel::Http2Session::Role::kSupervisorFront, kNoStreams, *this, std::move(from_guest),
      std::move(to_guest), [this] { OnChannelOver(); });
}

// ---- requests

void HandlerInstance::Send(const HandlerRequestPtr& r) {
  const auto stream = channel_ && !gone_ ? channel_->session().Request(r->fields, r->has_body)
                                         : Result<int32_t>(Error{"the channel is over"});
  if (!stream) {
    // It has asked for no more in this very moment.
    retiring_ = true;
    return Post([this, r] { events_.refused(r); });
  }
  ++sent_;
  r->guest = shared_from_this();
  r->stream = *stream;
  r->at = std::chrono::steady_clock::now();
  r->client_wait = {};
  r->place = requests_.insert(requests_.end(), r);
  streams_[*stream] = r;
  if (requests_.size() == 1) patience_.SetAfter(options_.patience);
  if (sent_ >= options_.requests) Retire();
  channel_->FlushSoon();
}

HandlerRequestPtr HandlerInstance::Find(int32_t stream) {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? nullptr : found->second;
}

void HandlerInstance::Touch(const HandlerRequestPtr& r) {
  r->at = std::chrono::steady_clock::now();
  requests_.splice(requests_.end(), requests_, r->place);
}

void HandlerInstance::Remove(const HandlerRequestPtr& r) {
  streams_.erase(r->stream);
  requests_.erase(r->place);
  r->guest = nullptr;
  r->client = nullptr;
  Post(events_.freed);
  CloseWhenIdle();
}

void HandlerInstance::ResetStream(const HandlerRequestPtr& r) {
  if (!channel_ || gone_ || !streams_.contains(r->stream)) return;
  channel_->session().Reset(r->stream, NGHTTP2_CANCEL);
  channel_->FlushSoon();
}

void HandlerInstance::Fail(const HandlerRequestPtr& r, const HandlerFailure& failure) {
  HandlerClient* client = r->client;
  ResetStream(r);
  Remove(r);
  if (client != nullptr) client->OnFailure(failure);
}

void HandlerInstance::Cancel(const HandlerRequestPtr& r) {
  ResetStream(r);
  Remove(r);
}

void HandlerInstance::GiveUp(const HandlerRequestPtr& r) {
  Fail(r, {408, "http_request_error",
           "the client was too slow while others waited for its place: a guest waited for it"});
}

void HandlerInstance::ResumeBody(const HandlerRequestPtr& r) {
  if (r->client_wait.waiting()) r->client_wait.BodyReceived(0, std::chrono::steady_clock::now());
  if (!channel_ || gone_) return;
  channel_->session().ResumeBody(r->stream);
  channel_->FlushSoon();
}

void HandlerInstance::Consumed(const HandlerRequestPtr& r, size_t bytes) {
  if (!channel_ || gone_) return;
  Touch(r);
  r->client_wait.Delivered(bytes, r->at);
  channel_->session().Consume(r->stream, bytes);
  channel_->FlushSoon();
}

size_t HandlerInstance::ReadBody(int32_t stream, std::span<uint8_t> out, bool* end, Fields*) {
  const auto r = Find(stream);
  if (!r || r->client == nullptr) {
    *end = true;
    return 0;
  }
  r->body_begun = true;
  const size_t n = r->client->ReadBody(out, end);
  r->body_ended = *end;
  if (n > 0 || *end) {
    Touch(r);
    r->client_wait.BodyReceived(n, r->at);
  } else {
    r->client_wait.AwaitBody(std::chrono::steady_clock::now());
  }
  return n;
}

// ---- what the guest says

void HandlerInstance::OnSettings() {
  if (std::exchange(ready_, true)) return;
  Post(events_.ready);
}

void HandlerInstance::OnHeaders(int32_t stream, Fields fields, bool end_stream) {
  const auto r = Find(stream);
  if (!r || r->answered) return;  // trailers
  int status = 0;
  if (const std::string* text = channel::FindField(fields, ":status"))
    std::from_chars(text->data(), text->data() + text->size(), status);
  if (status < 200) return;  // informational
  r->answered = true;
  Touch(r);
  if (status > 599)
    return Fail(r, {502, "http_protocol_error", "the handler answered with a status of its own"});
  std::erase_if(fields, [](const Field& f) { return !MayPass(f); });
  r->client->OnHead(status, std::move(fields), !end_stream);
}

void HandlerInstance::OnData(int32_t stream, std::span<const uint8_t> data) {
  const auto r = Find(stream);
  if (!r || !r->answered) return;
  Touch(r);
  r->client_wait.Sent(data.size(), r->at);
  r->client->OnBody(data);
}

void HandlerInstance::OnEndOfBody(int32_t stream) {
  const auto r = Find(stream);
  if (!r || !r->answered) return;
  HandlerClient* client = r->client;
  ++answered_;
  if (events_.answered) Post(events_.answered);
  // What is left of the request is not wanted.
  if (r->has_body && !r->body_ended) ResetStream(r);
  Remove(r);
  client->OnEnd();
}

void HandlerInstance::OnClosed(int32_t stream, uint32_t error) {
  const auto r = Find(stream);
  if (!r) return;
  streams_.erase(stream);
  if (error == NGHTTP2_REFUSED_STREAM && !r->answered && !r->body_begun) {
    HandlerClient* client = r->client;
    Remove(r);
    r->client = client;
    return Post([this, r] { events_.refused(r); });
  }
  const bool malformed = error == NGHTTP2_PROTOCOL_ERROR;
  Fail(r, {502, malformed ? "http_protocol_error" : "http_response_incomplete",
           fmt::format("{} ({})",
                       r->answered ? "the handler ended its response early"
                       : malformed ? "the handler's response is none that HTTP has: its status, "
                                     "fields and length do not go together"
                                   : "the handler ended the request without a response",
                       nghttp2_http2_strerror(error))});
}

void HandlerInstance::OnPong() {
  if (std::exchange(awaiting_pong_, false)) Post(events_.freed);
}

void HandlerInstance::OnGoaway() {
  if (retiring_) return;
  Retire();
  Post(events_.freed);
}

// ---- the end

void HandlerInstance::OnPatience() {
  const auto now = std::chrono::steady_clock::now();
  while (!requests_.empty()) {
    const HandlerRequestPtr r = requests_.front();
    const auto due = r->at + options_.patience;
    if (due > now) {
      patience_.SetAfter(std::chrono::duration_cast<std::chrono::milliseconds>(due - now) +
                         std::chrono::milliseconds(1));
      return;
    }
    // Its client's time has a bound of its own (HttpConnection::ConnectionLimits).
    if (r->client_wait.waiting()) {
      Touch(r);
      continue;
    }
    Fail(r, {504, "http_response_timeout",
             fmt::format("the handler did nothing for the request for {} ms (--handler-timeout)",
                         options_.patience.count())});
    // It may be this request alone that hangs, or all of the guest.
    if (channel_ && !std::exchange(awaiting_pong_, true)) {
      channel_->session().Ping();
      channel_->FlushSoon();
      pong_by_.SetAfter(kPongWithin);
    }
  }
}

void HandlerInstance::Retire() {
  retiring_ = true;
  CloseWhenIdle();
}

void HandlerInstance::CloseWhenIdle() {
  if (!retiring_ || !requests_.empty() || !channel_ || gone_) return;
  gone_ = true;
  leave_by_.SetAfter(kLeaveWithin);
  // Not from within a call of the session.
  Post([this] { channel_.reset(); });
}

void HandlerInstance::OnChannelOver() {
  channel_.reset();
  if (std::exchange(gone_, true)) return;
  // Why, its run tells soon; a guest that only closed its channel has no more use.
  leave_by_.SetAfter(kPongWithin);
  Post(events_.freed);
}

void HandlerInstance::EndNow(const std::string& why) {
  if (!ended_ && events_.kill) Post([this, why] { events_.kill(why); });
}

void HandlerInstance::OnEnded(const Outcome& outcome) {
  if (std::exchange(ended_, true)) return;
  gone_ = true;
  patience_.Clear();
  pong_by_.Clear();
  leave_by_.Clear();
  // What the guest's own errors say is not for its clients.
  const bool ours = outcome.kind != Outcome::Kind::kSucceeded &&
                    outcome.kind != Outcome::Kind::kFailed && !outcome.error_message.empty();
  const std::string why = fmt::format("the guest ended before it answered{}",
                                      ours ? fmt::format(": {}", outcome.error_message) : "");
  for (const HandlerRequestPtr& r : std::list<HandlerRequestPtr>(requests_))
    Fail(r, {502, "http_response_incomplete", why});
  Post([this, outcome] {
    channel_.reset();
    events_.ended(outcome);
  });
}

}  // namespace postern::server
