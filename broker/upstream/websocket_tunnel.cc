// WebSocket (RFC 6455), by Boost.Beast. Without permessage-deflate (RFC 7692): Beast has a zlib of
// its own, of before CVE-2018-25032, and both ends' messages are hostile.
//
// On the guest's channel each message is one frame: kind (1 text, 2 binary, 8 close), length as 32
// bits big-endian, and the payload; that of a close is its code as 16 bits, or nothing, and its
// reason.
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <cstdint>
#include <deque>

#include "base/format.h"
#include "base/text.h"
#include "broker/upstream/beast_text.h"
#include "broker/upstream/http_fields.h"
#include "broker/upstream/tunnel.h"

namespace postern::broker {

// How Beast ends the connection below it (found by argument-dependent lookup).
inline void teardown(boost::beast::role_type, CurlStream& stream,
                     boost::system::error_code& error) {
  stream.ShutdownWrite();
  error = {};
}
template <typename Handler>
void async_teardown(boost::beast::role_type, CurlStream& stream, Handler&& handler) {
  stream.ShutdownWrite();
  boost::asio::post(stream.get_executor(), [handler = std::forward<Handler>(handler)]() mutable {
    handler(boost::system::error_code{});
  });
}
inline void beast_close_socket(CurlStream& stream) { stream.Close(); }

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using channel::Failure;

constexpr uint8_t kText = 1, kBinary = 2, kClose = 8;
constexpr const char* kProtocol = "sec-websocket-protocol";
constexpr size_t kHead = 5;                 // bytes before a payload
constexpr size_t kKeptBuffer = 256 * 1024;  // bytes, from one message to the next

std::string FrameHead(uint8_t kind, size_t size) {
  const auto n = static_cast<uint32_t>(size);
  return {static_cast<char>(kind), static_cast<char>(n >> 24), static_cast<char>(n >> 16),
          static_cast<char>(n >> 8), static_cast<char>(n)};
}

std::string Frame(uint8_t kind, std::string_view payload) {
  return FrameHead(kind, payload.size()).append(payload);
}

std::string CloseFrame(const websocket::close_reason& reason) {
  if (reason.code == websocket::close_code::none) return Frame(kClose, {});
  std::string payload = {static_cast<char>(reason.code >> 8), static_cast<char>(reason.code & 255)};
  return Frame(kClose, payload.append(reason.reason.data(), reason.reason.size()));
}

class WebSocketTunnel : public Tunnel {
 public:
  WebSocketTunnel(asio::io_context& io, CURL* easy, bool secure, std::string where,
                  Callbacks events, std::string host, std::string target, channel::Fields fields,
                  const policy::NetworkLimits& limits)
      : Tunnel(io, easy, secure, std::move(where), std::move(events)),
        host_(std::move(host)),
        target_(std::move(target)),
        fields_(std::move(fields)),
        max_message_(static_cast<size_t>(limits.message_bytes)),
        socket_(stream()) {
    websocket::stream_base::timeout timeout;
    timeout.handshake_timeout = std::chrono::milliseconds(limits.headers_timeout);
    timeout.idle_timeout = std::chrono::milliseconds(limits.idle_timeout);
    timeout.keep_alive_pings = true;
    socket_.set_option(timeout);
    socket_.read_message_max(max_message_);
    socket_.auto_fragment(false);
  }

  void Start() override {
    socket_.set_option(websocket::stream_base::decorator([this](websocket::request_type& request) {
      request.erase(beast::http::field::user_agent);
      for (const channel::Field& f : fields_) request.insert(f.name, f.value);
    }));
    socket_.async_handshake(
        answer_, host_, target_, [this, self = shared_from_this()](const error_code& error) {
          if (closed()) return;
          if (error) return End(HandshakeFailure(error));
          if (auto failure = BadChoice()) return End(std::move(failure));
          open_ = true;
          channel::Fields fields = {{":status", "200"}};
          if (answer_.count(kProtocol) > 0) {
            fields.push_back({kProtocol, std::string(View(answer_[kProtocol]))});
          }
          events().open(std::move(fields));
          Read();
          Write();
        });
  }

  void Send(std::string_view bytes) override {
    const auto self = shared_from_this();  // an event may make its owner let go of it
    incoming_ += bytes;
    while (!closed() && incoming_.size() >= kHead) {
      const auto* head = reinterpret_cast<const uint8_t*>(incoming_.data());
      const size_t size = size_t{head[1]} << 24 | head[2] << 16 | head[3] << 8 | head[4];
      const bool known = head[0] == kText || head[0] == kBinary || head[0] == kClose;
      if (!known || size > max_message_ || (head[0] == kClose && size > 125)) {
        return End(Failure{
            channel::kErrLimitOfRequest,
            fmt::format("a WebSocket message is larger than the limit of {} bytes (message_bytes)",
                        max_message_)});
      }
      if (incoming_.size() < kHead + size) {
        CountIncoming();
        return;
      }
      messages_.push_back({head[0], incoming_.substr(kHead, size), kHead + size - counted_});
      incoming_.erase(0, kHead + size);
      counted_ = 0;
    }
    Write();
  }

  // The guest is gone, or has closed: no message follows.
  void EndSending() override {
    if (!closing_) messages_.push_back({kClose, {}, 0});
    Write();
  }

 private:
  struct Message {
    uint8_t kind;
    std::string payload;
    size_t counts;  // bytes of the guest's window
  };

  // The window must not wait for the end of a message that is larger; but it does wait for the
  // origin to take what is whole. So what is kept is two messages and a window at most.
  void CountIncoming() {
    if (writing_ || !messages_.empty() || counted_ == incoming_.size()) return;
    const size_t more = incoming_.size() - std::exchange(counted_, incoming_.size());
    events().sent(more);
  }

  // An origin chooses among what was offered: no extension, and one of the subprotocols if there
  // are any (RFC 6455, 4.1; the WebSockets Standard, "establish a WebSocket connection").
  std::optional<Failure> BadChoice() const {
    const auto failure = [this](const char* what) {
      return Failure{channel::kErrWebSocket, fmt::format("{} chose {}", where(), what)};
    };
    if (answer_.count("sec-websocket-extensions") > 0) {
      return failure("an extension that was not offered");
    }
    const channel::Field* offer = nullptr;
    for (const channel::Field& f : fields_) {
      if (EqualsIgnoringCase(f.name, kProtocol)) offer = &f;
    }
    const size_t chosen = answer_.count(kProtocol);
    if (offer == nullptr && chosen == 0) return std::nullopt;
    if (chosen == 0) return failure("none of the subprotocols that were offered");
    if (chosen == 1 && offer != nullptr) {
      const std::string_view choice = View(answer_[kProtocol]);
      for (const std::string_view one : SplitList(offer->value)) {
        if (Trim(one) == choice) return std::nullopt;
      }
    }
    return failure("a subprotocol that was not offered");
  }

  Failure HandshakeFailure(const error_code& error) const {
    if (error == websocket::error::upgrade_declined) {
      return {channel::kErrWebSocket,
              fmt::format("{} answered {} instead of switching to WebSocket", where(),
                          answer_.result_int())};
    }
    if (error == beast::error::timeout) {
      return {channel::kErrResponseTimeout,
              fmt::format("{} did not answer the WebSocket handshake in time (headers_timeout)",
                          where())};
    }
    if (error == asio::error::eof || error == beast::http::error::end_of_stream) {
      return {channel::kErrResponseIncomplete,
              fmt::format("{} closed the connection without an answer", where())};
    }
    return {channel::kErrWebSocket,
            fmt::format("the WebSocket handshake with {} failed: {}", where(), error.message())};
  }

  void Read() override {
    if (closed() || reading_ || paused() || !open_) return;
    reading_ = true;
    socket_.async_read(buffer_, [this, self = shared_from_this()](const error_code& error, size_t) {
      reading_ = false;
      if (closed()) return;
      if (error && closing_) return;  // how a close of ours ends is told where it was begun
      if (error) return ReadFailed(error);
      const auto bytes = buffer_.data();
      events().data(FrameHead(socket_.got_text() ? kText : kBinary, bytes.size()));
      if (!closed()) events().data({static_cast<const char*>(bytes.data()), bytes.size()});
      if (closed()) return;
      buffer_.consume(buffer_.size());
      if (buffer_.capacity() > kKeptBuffer) buffer_.shrink_to_fit();
      Read();
    });
  }

  void ReadFailed(const error_code& error) {
    if (error == websocket::error::closed) {
      events().data(CloseFrame(socket_.reason()));
      return End(std::nullopt);
    }
    if (error == websocket::error::message_too_big || error == websocket::error::buffer_overflow) {
      return End(Failure{
          channel::kErrLimitOfBody,
          fmt::format("a message of {} is larger than the limit of {} bytes (message_bytes)",
                      where(), max_message_)});
    }
    if (error == beast::error::timeout) {
      return End(Failure{channel::kErrBodyTimeout,
                         fmt::format("{} answered no ping (idle_timeout)", where())});
    }
    if (error == asio::error::eof || error == asio::error::connection_reset ||
        error == asio::error::operation_aborted) {
      return End(Failure{channel::kErrConnectionReset,
                         fmt::format("{} ended the WebSocket without closing it", where())});
    }
    End(Failure{channel::kErrWebSocket,
                fmt::format("{} broke the WebSocket protocol: {}", where(), error.message())});
  }

  void Write() {
    if (closed() || writing_ || !open_ || messages_.empty() || closing_) return;
    writing_ = true;
    sending_ = std::move(messages_.front());
    messages_.pop_front();
    const auto sent = [this, self = shared_from_this()](const error_code& error, size_t) {
      writing_ = false;
      if (closed()) return;
      // The read tells why a connection is over, and it does so in a moment.
      if (error) return;
      sending_.payload = {};
      if (sending_.counts > 0) events().sent(sending_.counts);
      if (closed()) return;
      CountIncoming();
      if (!closed()) Write();
    };
    if (sending_.kind == kClose) {
      closing_ = true;
      websocket::close_reason reason;
      if (sending_.payload.size() >= 2) {
        reason.code = static_cast<uint16_t>(static_cast<uint8_t>(sending_.payload[0]) << 8 |
                                            static_cast<uint8_t>(sending_.payload[1]));
        // Not by assign(): Boost 1.74's takes a pointer and a length for nothing.
        reason.reason =
            beast::string_view(sending_.payload.data() + 2, sending_.payload.size() - 2);
      }
      socket_.async_close(reason, [this, self = shared_from_this()](const error_code& error) {
        if (closed()) return;
        if (error) return ReadFailed(error);
        events().data(CloseFrame(socket_.reason()));
        End(std::nullopt);
      });
    } else {
      socket_.text(sending_.kind == kText);
      socket_.async_write(asio::buffer(sending_.payload), sent);
    }
  }

  std::string host_, target_;
  channel::Fields fields_;
  size_t max_message_;
  websocket::stream<CurlStream&> socket_;
  websocket::response_type answer_;
  beast::flat_buffer buffer_;
  std::string incoming_;  // of the guest, up to a whole message
  size_t counted_ = 0;    // bytes of `incoming_` whose window is given back
  std::deque<Message> messages_;
  Message sending_{};
  bool open_ = false, writing_ = false, closing_ = false;
};

}  // namespace

std::shared_ptr<Tunnel> MakeWebSocketTunnel(asio::io_context& io, CURL* easy, bool secure,
                                            std::string where, Tunnel::Callbacks events,
                                            std::string host, std::string target,
                                            channel::Fields fields,
                                            const policy::NetworkLimits& limits) {
  return std::make_shared<WebSocketTunnel>(io, easy, secure, std::move(where), std::move(events),
                                           std::move(host), std::move(target), std::move(fields),
                                           limits);
}

}  // namespace postern::broker
