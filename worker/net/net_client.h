// NetClient: the guest's end of its channel to the net broker: fetch's requests.
//
// Every request ends: with a response, or with a channel::Failure. Deadlines are held here as well
// as in the broker, and a broker that is silent for kBrokerSilence while this loop runs counts as
// gone.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "channel/spare_fds.h"
#include "worker/net/http_streams.h"

namespace postern::worker {

struct ClientDeadlines {
  double headers_seconds =
      60;  // all phases up to the response, with some grace for the broker to tell first
  double total_seconds = 310;
  int64_t response_bytes = 1LL << 30;    // decoded
  size_t concurrent = 64;                // requests that the broker takes at a time
  size_t queue = 10'000;                 // requests that may wait here for their turn
  double queue_seconds = 300;            // for how long
  int channels = channel::kNetChannels;  // to one broker after the other
};

class NetClient : public HttpStreams {
 public:
  NetClient(ClientDeadlines limits, HttpStreamObserver& events)
      : HttpStreams(events, limits.response_bytes), limits_(limits) {}

  struct Outgoing {
    channel::Fields fields;
    std::string body;  // sent as it is, when has_body and not streaming
    bool has_body = false;
    bool streaming = false;  // Write and EndWrite follow
    bool endless = false;    // a TCP stream or WebSocket: no total, once it is open
    bool raw = false;        // its response's body is not decoded
  };
  void Fetch(uint32_t id, Outgoing outgoing);

  void OnReady(const std::function<short(int)>& ready, double waited) override;
  double Deadline() const override;
  bool Pending() const override;

 private:
  struct Due {
    double when;
    uint32_t id;
    int32_t stream;
  };

  void OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) override;
  void OnClosed(int32_t stream, uint32_t error) override;
  void OnRequestSent(int32_t stream) override;
  void OnGoaway() override { gone_ = true; }
  void OnBodyRead(uint32_t id) override { exchanges_.erase(id); }
  void OnLost(const std::string& why) override;

  bool OpenChannel();
  static ResponseHead ReadHead(channel::Fields fields);
  static std::optional<channel::Failure> SetDecoders(HttpStream& e, const channel::Fields& fields);
  void AddDue(std::deque<Due>& due, double seconds, uint32_t id, int32_t stream);
  void Expire();

  const ClientDeadlines limits_;
  int next_channel_ = 0;
  bool gone_ = false;
  double silent_ = 0;
  bool pinged_ = false;
  std::deque<Due> queue_due_, headers_due_, total_due_;
};

}  // namespace postern::worker
