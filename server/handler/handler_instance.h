// HandlerInstance: one guest that answers requests (`postern serve --handler`): the supervisor's
// end of its channel, and the requests that it has.
//
// The guest is hostile. What it sends is HTTP/2, read by nghttp2 in turns; a request that it does
// not answer in time is answered for it, and a guest that does not come back to its event loop is
// ended.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "loop/deadline.h"
#include "loop/guest_channel.h"
#include "run_api/outcome.h"
#include "server/handler/client_wait.h"

namespace postern::server {

// Why a request has no response, or none that is complete.
struct HandlerFailure {
  int status;          // to answer with, where nothing was answered yet
  std::string error;   // RFC 9209 section 2.3 error type
  std::string detail;  // a sentence
};

// The side of a request that its client is at.
class HandlerClient {
 public:
  virtual ~HandlerClient() = default;
  // Fields of the response, without :status.
  virtual void OnHead(int status, channel::Fields fields, bool has_body) = 0;
  virtual void OnBody(std::span<const uint8_t> bytes) = 0;
  // One of these two is the last call.
  virtual void OnEnd() = 0;
  virtual void OnFailure(const HandlerFailure& failure) = 0;
  // The request's body, as Http2Session::Observer::ReadBody.
  virtual size_t ReadBody(std::span<uint8_t> out, bool* end) = 0;
};

class HandlerInstance;

// A request, from the client to its response's end. Its owner may let go of it at any time with
// HandlerPool::Cancel.
struct HandlerRequest {
  channel::Fields fields;
  bool has_body = false;
  HandlerClient* client = nullptr;  // null when nobody waits any more
  std::shared_ptr<HandlerInstance> guest;
  int32_t stream = 0;
  bool body_begun = false, body_ended = false, answered = false;
  std::chrono::steady_clock::time_point at{};  // when something happened last
  ClientWait client_wait;
  std::list<std::shared_ptr<HandlerRequest>>::iterator place;
};
using HandlerRequestPtr = std::shared_ptr<HandlerRequest>;

class HandlerInstance : public std::enable_shared_from_this<HandlerInstance>,
                        public channel::Http2Session::Observer {
 public:
  struct Options {
    size_t concurrency = 64;
    uint64_t requests = 10'000;  // that it answers; then another takes its place
    // In which it must do something for a request.
    std::chrono::milliseconds patience{30'000};
  };
  // All are called from the loop, and not from within a call into this.
  struct Callbacks {
    std::function<void()> ready;                     // it takes requests
    std::function<void()> answered;                  // one request more
    std::function<void()> freed;                     // it has a place, or takes none any more
    std::function<void(HandlerRequestPtr)> refused;  // it never saw this one
    std::function<void(const run_api::Outcome&)> ended;
    std::function<void(const std::string& why)> kill;  // its process is to end now
  };

  HandlerInstance(boost::asio::io_context& io, uint64_t id, const Options& options,
                  Callbacks events);

  // Where its run puts the channel, and how the run ended.
  void OnChannel(UniqueFd from_guest, UniqueFd to_guest);
  void OnEnded(const run_api::Outcome& outcome);

  uint64_t id() const { return id_; }
  bool ready() const { return ready_; }
  bool retiring() const { return retiring_; }
  bool CanAccept() const {
    return ready_ && !retiring_ && !gone_ && !awaiting_pong_ &&
           requests_.size() < options_.concurrency;
  }
  // Soon it has answered as many as it may.
  bool near_request_limit() const { return retiring_ || sent_ * 10 >= options_.requests * 9; }
  size_t outstanding() const { return requests_.size(); }
  const std::list<HandlerRequestPtr>& requests() const { return requests_; }
  uint64_t sent() const { return sent_; }
  uint64_t answered() const { return answered_; }

  void Send(const HandlerRequestPtr& request);
  void Cancel(const HandlerRequestPtr& request);
  // Its place is given to another: its client is too slow.
  void GiveUp(const HandlerRequestPtr& request);
  // More of the request's body is there.
  void ResumeBody(const HandlerRequestPtr& request);
  // The client has taken so many bytes of the response.
  void Consumed(const HandlerRequestPtr& request, size_t bytes);
  // It takes no more requests and ends when it has answered those that it has.
  void Retire();
  // What cannot wait any longer.
  void EndNow(const std::string& why);

 private:
  void OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) override;
  void OnData(int32_t stream, std::span<const uint8_t> data) override;
  void OnEndOfBody(int32_t stream) override;
  void OnClosed(int32_t stream, uint32_t error) override;
  size_t ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                  channel::Fields* trailers) override;
  void OnSettings() override;
  void OnPong() override;
  void OnGoaway() override;

  HandlerRequestPtr Find(int32_t stream);
  void Touch(const HandlerRequestPtr& request);
  void Remove(const HandlerRequestPtr& request);
  void ResetStream(const HandlerRequestPtr& request);
  void Fail(const HandlerRequestPtr& request, const HandlerFailure& failure);
  void OnPatience();
  void OnChannelOver();
  void CloseWhenIdle();
  void Post(std::function<void()> call);

  boost::asio::io_context& io_;
  const uint64_t id_;
  const Options options_;
  Callbacks events_;
  std::unique_ptr<loop::GuestChannel> channel_;
  std::map<int32_t, HandlerRequestPtr> streams_;
  std::list<HandlerRequestPtr> requests_;  // what has waited longest first
  loop::Deadline patience_, pong_by_, leave_by_;
  uint64_t sent_ = 0, answered_ = 0;
  bool ready_ = false, retiring_ = false, gone_ = false, ended_ = false;
  bool awaiting_pong_ = false;  // it may hang: until it answers it gets nothing more
};

}  // namespace postern::server
