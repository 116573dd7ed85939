// NetClient: the guest's end of its channel to the net broker, and fetch's state in C++.
//
// Every request ends: with a response, or with a channel::Failure. Deadlines are held here as well
// as in the broker, and a broker that is silent for kBrokerSilence while this loop runs counts as
// gone.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channel/endpoint.h"
#include "channel/failure.h"
#include "worker/decoder.h"
#include "worker/event_loop.h"

namespace postern::worker {

// What happens to a request, told to the runtime. Ids are the runtime's own.
class NetEvents {
 public:
  virtual ~NetEvents() = default;
  virtual void OnResponse(uint32_t id, int status, const std::string& status_text,
                          const channel::Fields& fields) = 0;
  // A read that found nothing may find something now.
  virtual void OnReadable(uint32_t id) = 0;
  // The body that Collect asked for, whole.
  virtual void OnCollected(uint32_t id, std::string body) = 0;
  // The request body may be written on.
  virtual void OnWritable(uint32_t id) = 0;
  virtual void OnFailure(uint32_t id, const channel::Failure& failure) = 0;
};

struct NetLimits {
  double headers_seconds =
      60;  // all phases up to the response, with some grace for the broker to tell first
  double total_seconds = 310;
  int64_t response_bytes = 1LL << 30;  // decoded
  size_t concurrent = 64;              // requests that the broker takes at a time
  size_t queue = 10'000;               // requests that may wait here for their turn
  double queue_seconds = 300;          // for how long
};

class NetClient : public EventLoop::Source, public channel::Http2Session::Handler {
 public:
  NetClient(NetLimits limits, NetEvents& events) : limits_(limits), events_(events) {}

  struct Outgoing {
    channel::Fields fields;
    std::string body;  // sent as it is, when has_body and not streaming
    bool has_body = false;
    bool streaming = false;  // Write and EndWrite follow
    bool endless = false;    // a TCP stream or WebSocket: no total, once it is open
  };
  void Fetch(uint32_t id, Outgoing outgoing);
  // Bytes that wait to be sent, for the caller's backpressure; OnWritable comes when they are gone.
  // 0 where that is few enough to go on; with `all`, only where it is none.
  size_t Write(uint32_t id, std::span<const uint8_t> bytes, bool all = false);
  // The stream's number on the channel, 0 when it has none.
  int32_t StreamOf(uint32_t id);
  void EndWrite(uint32_t id);
  // The next decoded piece, empty when there is none yet, nullopt at the end. Failures come by
  // OnFailure.
  enum class ReadState { kData, kWait, kEnd };
  ReadState Read(uint32_t id, std::string* out);
  // Reads all of the body; OnCollected or OnFailure follows.
  void Collect(uint32_t id);
  void Cancel(uint32_t id);

  void Interest(const std::function<void(int, short)>& want) override;
  void Ready(const std::function<short(int)>& ready, double waited) override;
  double Deadline() const override;
  bool Pending() const override;

 private:
  struct Exchange {
    int32_t stream = 0;
    bool sent = false;  // its header block has left
    bool endless = false;
    bool responded = false, ended = false, waiting = false, collecting = false;
    std::string upload;
    size_t upload_at = 0;
    bool upload_ended = true, writable_wanted = false;
    std::deque<std::string> received;  // as it came from the broker
    bool any_received = false;
    std::vector<std::unique_ptr<Decoder>> decoders;  // in the order in which they undo
    std::string undecoded;
    int64_t decoded_bytes = 0;
    std::vector<std::string>
        collected;  // pieces, joined at the end: growing would need thrice the room
    size_t collected_bytes = 0;
    Engine::Held held;  // `collected`, and what it is joined into
    std::optional<channel::Failure> failure;
  };
  struct Due {
    double when;
    uint32_t id;
    int32_t stream;
  };

  void OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) override;
  void OnData(int32_t stream, std::span<const uint8_t> data) override;
  void OnEndOfBody(int32_t stream) override;
  void OnClosed(int32_t stream, uint32_t error) override;
  void OnRequestSent(int32_t stream) override;
  void OnPong() override {}
  void OnGoaway() override { gone_ = true; }
  size_t ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                  channel::Fields* trailers) override;

  Exchange* Find(uint32_t id);
  Exchange* ByStream(int32_t stream, uint32_t* id);
  bool OpenChannel();
  void LoseBroker(const std::string& why);
  void FailLater(uint32_t id, channel::Failure failure);
  void Deliver(uint32_t id, Exchange& e);
  std::optional<std::string> Join(Exchange& e);
  ReadState NextPiece(Exchange& e, std::string* out);
  Result<bool> DecodePiece(Exchange& e, std::string* out);
  std::string TakeReceived(Exchange& e);
  void SetDecoders(Exchange& e, const channel::Fields& fields);
  void AddDue(std::deque<Due>& due, double seconds, uint32_t id, int32_t stream);
  void Expire();

  NetLimits limits_;
  NetEvents& events_;
  std::unique_ptr<channel::Endpoint> endpoint_;
  int next_channel_ = 0;
  bool gone_ = false;
  bool out_full_ = false;
  double silent_ = 0;
  bool pinged_ = false;
  std::map<uint32_t, Exchange> exchanges_;
  std::map<int32_t, uint32_t> ids_;
  std::deque<Due> queue_due_, headers_due_, total_due_;
  // Told to the runtime from the loop, never from inside a call it made.
  std::vector<std::pair<uint32_t, channel::Failure>> failures_;
  std::vector<uint32_t> deliveries_;
};

}  // namespace postern::worker
