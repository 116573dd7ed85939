#include "worker/net/handler_server.h"

#include "base/format.h"
#include "channel/spare_fds.h"

namespace postern::worker {
namespace {

// The supervisor sends fewer at a time (--concurrency).
constexpr uint32_t kMaxStreams = 10'000;

channel::Failure ClientGone(const std::string& why) { return {channel::kErrClientGone, why}; }

}  // namespace

void HandlerServer::Open() {
  endpoint_ =
      std::make_unique<channel::Endpoint>(channel::Http2Session::Role::kGuestHandler, kMaxStreams,
                                          *this, UniqueFd(channel::NetIn(channel::kHandlerChannel)),
                                          UniqueFd(channel::NetOut(channel::kHandlerChannel)));
  opened_ = true;
}

void HandlerServer::OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) {
  const uint32_t id = kIds | static_cast<uint32_t>(stream);
  exchanges_[id].stream = stream;
  ids_[stream] = id;
  arrived_.push_back({id, std::move(fields), !end_stream});
}

Status HandlerServer::Respond(uint32_t id, HandlerResponse answer) {
  HttpStream* e = Find(id);
  if (e == nullptr || e->failure || e->responded || !endpoint_) return Ok{};
  if (Status s = channel::CheckFields(answer.fields); !s) {
    return Error{fmt::format("the response has {}", s.error().message)};
  }
  e->responded = true;
  e->upload = std::move(answer.body);
  e->upload_ended = !answer.streaming;
  const Status sent = endpoint_->session().Respond(e->stream, answer.fields, answer.has_body);
  if (!sent) FailLater(id, {channel::kErrResponse, sent.error().message});
  return Ok{};
}

void HandlerServer::OnClosed(int32_t stream, uint32_t error) {
  uint32_t id = 0;
  HttpStream* e = ByStream(stream, &id);
  ids_.erase(stream);
  if (e == nullptr || e->failure) return;
  if (error != 0) return FailLater(id, ClientGone("the client went away"));
  exchanges_.erase(id);
}

void HandlerServer::OnLost(const std::string& why) {
  FailAll(ClientGone(fmt::format("the server went away: {}", why)));
  endpoint_.reset();
  lost_ = true;
}

void HandlerServer::Retire() {
  if (endpoint_) endpoint_->session().Retire();
}

void HandlerServer::OnReady(const std::function<short(int)>& ready, double /*waited*/) {
  lost_ = false;
  Receive(ready);
  for (const Arrived& a : std::exchange(arrived_, {}))
    events_.OnRequest(a.id, a.fields, a.has_body);
  DeliverEvents();
}

}  // namespace postern::worker
