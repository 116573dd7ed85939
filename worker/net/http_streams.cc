#include "worker/net/http_streams.h"

#include <poll.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/format.h"

namespace postern::worker {
namespace {

using channel::Failure;

constexpr size_t kPieceBytes = 64 * 1024;
constexpr size_t kUploadBuffer = 256 * 1024;

}  // namespace

HttpStreams::HttpStream* HttpStreams::Find(uint32_t id) {
  const auto e = exchanges_.find(id);
  return e == exchanges_.end() ? nullptr : &e->second;
}

HttpStreams::HttpStream* HttpStreams::ByStream(int32_t stream, uint32_t* id) {
  const auto i = ids_.find(stream);
  if (i == ids_.end()) return nullptr;
  *id = i->second;
  return Find(i->second);
}

size_t HttpStreams::Write(uint32_t id, std::span<const uint8_t> bytes, bool all) {
  HttpStream* e = Find(id);
  if (e == nullptr || e->failure || e->upload_ended) return 0;
  if (e->upload_at > kUploadBuffer) e->upload.erase(0, std::exchange(e->upload_at, 0));
  e->upload.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  endpoint_->session().ResumeBody(e->stream);
  const size_t waiting = e->upload.size() - e->upload_at;
  e->writable_wanted = waiting >= (all ? 1 : kUploadBuffer);
  return e->writable_wanted ? waiting : 0;
}

int32_t HttpStreams::StreamOf(uint32_t id) {
  const HttpStream* e = Find(id);
  return e == nullptr ? 0 : e->stream;
}

void HttpStreams::EndWrite(uint32_t id) {
  HttpStream* e = Find(id);
  if (e == nullptr || e->failure) return;
  e->upload_ended = true;
  endpoint_->session().ResumeBody(e->stream);
}

size_t HttpStreams::ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                             channel::Fields* /*trailers*/) {
  uint32_t id = 0;
  HttpStream* e = ByStream(stream, &id);
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

void HttpStreams::OnData(int32_t stream, std::span<const uint8_t> data) {
  uint32_t id = 0;
  HttpStream* e = ByStream(stream, &id);
  if (e == nullptr || e->failure) {
    endpoint_->session().Consume(stream, data.size());
    return;
  }
  e->received.emplace_back(reinterpret_cast<const char*>(data.data()), data.size());
  e->any_received = true;
  if (e->waiting || e->collecting) deliveries_.push_back(id);
}

void HttpStreams::OnEndOfBody(int32_t stream) {
  uint32_t id = 0;
  HttpStream* e = ByStream(stream, &id);
  if (e == nullptr) return;
  e->ended = true;
  if (e->waiting || e->collecting) deliveries_.push_back(id);
}

void HttpStreams::FailLater(uint32_t id, Failure failure) {
  HttpStream* e = Find(id);
  if (e == nullptr || e->failed()) return;
  const bool unread = e->responded && !(e->received.empty() && e->undecoded.empty());
  if (unread && e->upload_ended && !e->writable_wanted) {
    e->failure_behind = std::move(failure);
    return;
  }
  e->failure = failure;
  e->received.clear();
  failures_.emplace_back(id, std::move(failure));
}

std::string HttpStreams::NextReceived(HttpStream& e) {
  if (e.received.empty()) return {};
  std::string piece = std::move(e.received.front());
  e.received.pop_front();
  if (endpoint_ && ids_.contains(e.stream)) endpoint_->session().Consume(e.stream, piece.size());
  return piece;
}

// One decoding step. True: `out` has bytes, or more input was taken. False: needs more input.
Result<bool> HttpStreams::DecodePiece(HttpStream& e, std::string* out) {
  if (e.undecoded.empty()) e.undecoded = NextReceived(e);
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

HttpStreams::ReadState HttpStreams::NextPiece(HttpStream& e, std::string* out) {
  out->clear();
  if (e.decoders.empty()) {
    *out = NextReceived(e);
  } else {
    while (out->empty()) {
      const bool had_input = !e.undecoded.empty() || !e.received.empty();
      const auto step = DecodePiece(e, out);
      if (!step) {
        e.failure = Failure{channel::kErrContentDecoding,
                            fmt::format("the body cannot be decoded: {}", step.error().message)};
        return ReadState::kEnd;
      }
      if (!*step || (!had_input && out->empty())) break;
    }
    e.decoded_bytes += static_cast<int64_t>(out->size());
    if (e.decoded_bytes > decoded_limit_) {
      e.failure = Failure{
          channel::kErrLimitOfBody,
          fmt::format("the decoded body is larger than the limit of {} bytes (response_bytes)",
                      decoded_limit_)};
      return ReadState::kEnd;
    }
  }
  if (!out->empty()) return ReadState::kData;
  if (e.failure_behind) {
    e.failure = std::move(e.failure_behind);
    return ReadState::kWait;
  }
  if (!e.ended) return ReadState::kWait;
  if (!e.decoders.empty() && !e.decoders.front()->Finished() && e.any_received) {
    e.failure = Failure{channel::kErrResponseIncomplete, "the compressed body was cut short"};
  }
  return ReadState::kEnd;
}

HttpStreams::ReadState HttpStreams::Read(uint32_t id, std::string* out) {
  HttpStream* e = Find(id);
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
  if (state == ReadState::kEnd) OnBodyRead(id);
  return state;
}

void HttpStreams::Collect(uint32_t id) {
  HttpStream* e = Find(id);
  if (e == nullptr || e->failure) return;
  e->collecting = true;
  deliveries_.push_back(id);
}

void HttpStreams::Deliver(uint32_t id, HttpStream& e) {
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
    e.failure = Failure{channel::kErrLimitOfBody,
                        "the body does not fit into this guest's memory (--memory)"};
  }
  if (e.failure) {
    if (endpoint_ && ids_.contains(e.stream)) endpoint_->session().Reset(e.stream, NGHTTP2_CANCEL);
    failures_.emplace_back(id, *e.failure);
  } else if (body) {
    OnBodyRead(id);
    events_.OnCollected(id, std::move(*body));
  }
}

std::optional<std::string> HttpStreams::Join(HttpStream& e) {
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

void HttpStreams::Cancel(uint32_t id) {
  HttpStream* e = Find(id);
  if (e == nullptr) return;
  if (endpoint_ && ids_.contains(e->stream)) {
    endpoint_->session().Reset(e->stream, NGHTTP2_CANCEL);
    ids_.erase(e->stream);
  }
  exchanges_.erase(id);
}

void HttpStreams::SetRef(uint32_t id, bool ref) {
  if (HttpStream* e = Find(id)) e->ref = ref;
}

void HttpStreams::FailAll(const Failure& failure) {
  for (const auto& [stream, id] : std::exchange(ids_, {})) {
    const HttpStream* e = Find(id);
    if (e != nullptr && !(e->ended && e->responded && e->upload_ended)) FailLater(id, failure);
  }
}

// ---- the loop's side

void HttpStreams::WaitSet(const std::function<void(int, short)>& want) {
  if (!endpoint_) return;
  const auto flushed = endpoint_->Flush();
  if (!flushed) return OnLost(flushed.error().message);
  want(endpoint_->in(), POLLIN);
  if (!*flushed) want(endpoint_->out(), POLLOUT);
}

bool HttpStreams::Receive(const std::function<short(int)>& ready) {
  if (!endpoint_ || ready(endpoint_->in()) == 0) return false;
  const auto outcome = endpoint_->Read();
  if (!outcome) {
    OnLost(outcome.error().message);
  } else if (*outcome == channel::Endpoint::ReadOutcome::kClosed) {
    OnLost("it ended");
  }
  return true;
}

void HttpStreams::DeliverEvents() {
  for (const uint32_t id : std::exchange(deliveries_, {})) {
    if (HttpStream* e = Find(id)) Deliver(id, *e);
  }
  for (const auto& [id, failure] : std::exchange(failures_, {})) {
    HttpStream* e = Find(id);
    if (e == nullptr) continue;
    // A body that goes keeps its stream, and so its place among the concurrent ones, until it is
    // told to stop.
    if (endpoint_ && !e->upload_ended && ids_.contains(e->stream))
      endpoint_->session().Reset(e->stream, NGHTTP2_CANCEL);
    exchanges_.erase(id);
    events_.OnFailure(id, failure);
  }
}

double HttpStreams::Deadline() const {
  return failures_.empty() && deliveries_.empty() ? std::numeric_limits<double>::infinity() : 0;
}

}  // namespace postern::worker
