// HttpStreams: requests and responses on one channel, with their bodies, for whichever end of it
// the guest is: the client's (net_client.h) or the server's (handler_server.h). Ids are the
// runtime's.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channel/endpoint.h"
#include "channel/failure.h"
#include "worker/engine/event_loop.h"
#include "worker/net/content_decoder.h"

namespace postern::worker {

struct ResponseHead {
  int status = 0;
  std::string status_text;
  channel::Fields fields;  // names in lower case, unless the client sees the wire
  // For a client that does (channel/postern_fields.h).
  std::string connection;
  bool upgraded = false;
};

// What happens to an exchange, told to the runtime.
class HttpStreamObserver {
 public:
  virtual ~HttpStreamObserver() = default;
  // A client's: the response is there, or an informational one before it.
  virtual void OnResponse(uint32_t id, const ResponseHead& head) = 0;
  // A client's that sees the wire: what followed the body.
  virtual void OnTrailers(uint32_t id, const channel::Fields& fields) = 0;
  // A server's: there is a request.
  virtual void OnRequest(uint32_t id, const channel::Fields& fields, bool has_body) = 0;
  // A read that found nothing may find something now.
  virtual void OnReadable(uint32_t id) = 0;
  // The body that Collect asked for, whole.
  virtual void OnCollected(uint32_t id, std::string body) = 0;
  // The body that is being sent may be written on.
  virtual void OnWritable(uint32_t id) = 0;
  virtual void OnFailure(uint32_t id, const channel::Failure& failure) = 0;
};

class HttpStreams : public EventLoop::Source, public channel::Http2Session::Observer {
 public:
  // Bytes that wait to be sent, for the caller's backpressure; OnWritable comes when they are gone.
  // 0 where that is few enough to go on; with `all`, only where it is none.
  size_t Write(uint32_t id, std::span<const uint8_t> bytes, bool all = false);
  void EndWrite(uint32_t id);
  // The stream's number on the channel, 0 when it has none.
  int32_t StreamOf(uint32_t id);
  // The next decoded piece, empty when there is none yet, nullopt at the end. Failures come by
  // OnFailure.
  enum class ReadState { kData, kWait, kEnd };
  ReadState Read(uint32_t id, std::string* out);
  // Reads all of the body; OnCollected or OnFailure follows.
  void Collect(uint32_t id);
  void Cancel(uint32_t id);
  // Whether the run goes on for this exchange's sake.
  void SetRef(uint32_t id, bool ref);

  void WaitSet(const std::function<void(int, short)>& want) override;
  double Deadline() const override;

 protected:
  struct HttpStream {
    int32_t stream = 0;
    // Of a client's.
    bool sent = false;     // its header block has left
    bool endless = false;  // it has no total
    bool raw = false;      // its response is not decoded
    bool responded = false;
    bool ref = true;  // the run waits for it
    // The body that comes.
    bool ended = false, waiting = false, collecting = false;
    std::deque<std::string> received;  // as it came from the other end
    bool any_received = false;
    std::vector<std::unique_ptr<Decoder>> decoders;  // in the order in which they undo
    std::string undecoded;
    int64_t decoded_bytes = 0;
    std::vector<std::string>
        collected;  // pieces, joined at the end: growing would need thrice the room
    size_t collected_bytes = 0;
    Engine::ExternalMemoryCharge held;  // `collected`, and what it is joined into
    // The body that goes.
    std::string upload;
    size_t upload_at = 0;
    bool upload_ended = true, writable_wanted = false;
    std::optional<channel::Failure> failure;
    // One that came behind bytes that the guest has not read yet: it is `failure` once they are.
    std::optional<channel::Failure> failure_behind;
    bool failed() const { return failure || failure_behind; }
  };

  // `decoded_bytes`: what a decoded body may have.
  HttpStreams(HttpStreamObserver& events, int64_t decoded_bytes)
      : events_(events), decoded_limit_(decoded_bytes) {}

  HttpStream* Find(uint32_t id);
  HttpStream* ByStream(int32_t stream, uint32_t* id);
  // Tells of `failure` behind what of the body came before it; at once where the guest waits for
  // something else as well.
  void FailLater(uint32_t id, channel::Failure failure);
  // The channel is over: what is not complete fails with `failure`.
  void FailAll(const channel::Failure& failure);
  // The body that came has been read to its end.
  virtual void OnBodyRead(uint32_t id) = 0;
  virtual void OnLost(const std::string& why) = 0;
  // Takes what has arrived; whether that was anything.
  bool Receive(const std::function<short(int)>& ready);
  // Tells the runtime what has happened.
  void DeliverEvents();

  void OnData(int32_t stream, std::span<const uint8_t> data) override;
  void OnEndOfBody(int32_t stream) override;
  size_t ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                  channel::Fields* trailers) override;

  HttpStreamObserver& events_;
  std::unique_ptr<channel::Endpoint> endpoint_;
  std::map<uint32_t, HttpStream> exchanges_;
  std::map<int32_t, uint32_t> ids_;
  // Told to the runtime from the loop, never from inside a call it made.
  std::vector<std::pair<uint32_t, channel::Failure>> failures_;
  std::vector<uint32_t> deliveries_;

 private:
  void Deliver(uint32_t id, HttpStream& e);
  std::optional<std::string> Join(HttpStream& e);
  ReadState NextPiece(HttpStream& e, std::string* out);
  Result<bool> DecodePiece(HttpStream& e, std::string* out);
  std::string NextReceived(HttpStream& e);

  const int64_t decoded_limit_;
};

}  // namespace postern::worker
