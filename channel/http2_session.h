// Http2Session: one end of a channel, HTTP/2 (RFC 9113) by nghttp2, without any I/O of its own.
//
// The owner feeds it what a pipe delivered (Receive) and writes what it has to say (NextOutput).
// One end lives in a guest, and everything that it sends is hostile: for a broker, which serves it,
// and for the supervisor where it is the guest that serves. No push, no priorities, no HPACK
// dynamic table; a peer that floods with resets, pings or settings, or sends more header bytes than
// allowed, fails the session, and with it this channel only.
#pragma once

#include <nghttp2/nghttp2.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "channel/fields.h"

namespace postern::channel {

inline constexpr uint32_t kMaxFrameSize = 128 * 1024;
inline constexpr uint32_t kStreamWindow = 1024 * 1024;  // bytes a stream may have unread
// The same of a response that the supervisor passes on: it holds as much for each slow client.
inline constexpr uint32_t kFrontWindow = 256 * 1024;

// What is taken of one guest before others have their turn, whichever is reached first.
inline constexpr size_t kBlocksATurn = 32;
inline constexpr std::chrono::microseconds kTimeATurn{100};

// What a frame counts for besides its own bytes: it takes as long as so many of noise.
inline constexpr size_t kResetNoise = 2048, kAnswerNoise = 256;

class Http2Session {
 public:
  // Which end it is: the guest's that asks, the broker's that answers it; the guest's that answers,
  // the supervisor's that asks it.
  enum class Role { kGuestClient, kBrokerServer, kGuestHandler, kSupervisorFront };

  // What the owner of a session implements. No call may destroy the session.
  class Observer {
   public:
    virtual ~Observer() = default;
    // A complete header block: a request (server); an informational response, a response or
    // trailers (client).
    virtual void OnHeaders(int32_t stream, Fields fields, bool end_stream) = 0;
    // Body bytes, valid during the call. The stream's window shrinks until Consume.
    virtual void OnData(int32_t stream, std::span<const uint8_t> data) = 0;
    virtual void OnEndOfBody(int32_t stream) = 0;
    // Nothing more on this stream. `error`: an HTTP/2 error code, 0 after a clean end.
    virtual void OnClosed(int32_t stream, uint32_t error) = 0;
    // Client: the request's header block has left the session.
    virtual void OnRequestSent(int32_t stream) {}
    virtual void OnSettings() {}
    virtual void OnPong() {}
    // The peer will take no new streams.
    virtual void OnGoaway() {}
    // Fills `out` with body bytes to send. Returns the count; 0 with *end false defers until
    // ResumeBody. On *end, `trailers` may be filled.
    virtual size_t ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                            Fields* trailers) = 0;
  };

  Http2Session(Role role, uint32_t max_streams, Observer& observer);

  // Client: sends a request. Returns the stream.
  Result<int32_t> Request(const Fields& fields, bool has_body);
  // Server: sends a response.
  Status Respond(int32_t stream, const Fields& fields, bool has_body);
  // Server: sends an informational response (RFC 9110 section 15.2) before the response.
  Status Inform(int32_t stream, const Fields& fields);
  void ResumeBody(int32_t stream);
  // Gives the peer back `bytes` of this stream's window.
  void Consume(int32_t stream, size_t bytes);
  void Reset(int32_t stream, uint32_t error);
  void Ping();
  void Goaway(uint32_t error);
  // Server: asks for no further requests; those that are on their way are still taken.
  void Retire();

  // Bytes from the pipe. An error ends the channel.
  Status Receive(std::span<const uint8_t> bytes);
  // The same for one turn: of a guest is taken no more than kBlocksATurn header blocks and little
  // longer than kTimeATurn, so that a guest which has sent thousands of requests at once, or floods
  // its channel, does not keep the others waiting. Returns how much was taken; the rest is to be
  // given again.
  Result<size_t> ReceiveSome(std::span<const uint8_t> bytes);
  // Bytes received since the last call that brought nothing: frames other than header blocks and
  // bodies, and padding; with kResetNoise for each request that the peer cancelled and kAnswerNoise
  // for each PING and SETTINGS.
  size_t TakeNoise();
  // The next bytes to write, empty when there is nothing; valid until the next call.
  Result<std::span<const uint8_t>> NextOutput();
  bool WantsWrite() const { return nghttp2_session_want_write(session_.get()) != 0; }
  // Neither side has anything left to say.
  bool Finished() const;

 private:
  struct Callbacks;
  struct SessionFree {
    void operator()(nghttp2_session* s) const { nghttp2_session_del(s); }
  };
  Status CheckSubmitted(int rc, const char* what);

  Observer& observer_;
  const bool hostile_peer_;
  std::unique_ptr<nghttp2_session, SessionFree> session_;
  // The header block being received: HTTP/2 never interleaves two.
  Fields block_;
  size_t block_bytes_ = 0;
  size_t blocks_left_ = 0;  // of this turn
  size_t useful_bytes_ = 0, noise_ = 0;
};

}  // namespace postern::channel
