// HandlerServer: the guest's end of the channel on which `postern serve --handler` sends it the
// requests that its `fetch` answers. The other end, the supervisor's, is trusted.
#pragma once

#include <cstdint>

#include "worker/net/http_streams.h"

namespace postern::worker {

class HandlerServer : public HttpStreams {
 public:
  explicit HandlerServer(HttpStreamObserver& events) : HttpStreams(events, 0) {}

  // HttpStreams of this side have ids with this bit.
  static constexpr uint32_t kIds = 1U << 30;

  // Says that the guest takes requests.
  void Open();
  struct HandlerResponse {
    channel::Fields fields;
    std::string body;  // sent as it is, when has_body and not streaming
    bool has_body = false;
    bool streaming = false;  // Write and EndWrite follow
  };
  // An error, and nothing has been sent yet, where the fields are more than one block may have.
  Status Respond(uint32_t id, HandlerResponse answer);
  // Asks for no further requests; those that are on their way are still answered.
  void Retire();
  // No requests come any more: the supervisor has closed the channel.
  bool over() const { return opened_ && endpoint_ == nullptr; }

  void OnReady(const std::function<short(int)>& ready, double waited) override;
  double Deadline() const override { return lost_ ? 0 : HttpStreams::Deadline(); }
  bool Pending() const override { return endpoint_ != nullptr; }

 private:
  struct Arrived {
    uint32_t id;
    channel::Fields fields;
    bool has_body;
  };

  void OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) override;
  void OnClosed(int32_t stream, uint32_t error) override;
  void OnBodyRead(uint32_t id) override {}  // the response is still to come
  void OnLost(const std::string& why) override;

  bool opened_ = false;
  bool lost_ = false;  // and the loop has not looked yet whether it is done
  std::vector<Arrived> arrived_;
};

}  // namespace postern::worker
