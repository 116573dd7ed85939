// HttpConnection: a client's connection to the server, HTTP/1.1 by RequestParser, on the server's
// one loop.
//
// It reads the socket itself, with recvmsg(2): over a Unix socket descriptors come with requests. A
// client that sends too much, too slowly or nonsense gets an answer that says so, and its end.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "channel/http2_session.h"
#include "loop/deadline.h"
#include "server/http/request_parser.h"

namespace postern::server {

struct HttpRequest {
  std::string method, target;
  channel::Fields fields;  // in their order, names in lower case
  std::string body;
  bool has_body = false;
  std::vector<UniqueFd> fds;  // that came with it
  bool lost_fds = false;      // more came than may, or than this process can have

  // The first field of that name; empty where there is none.
  std::string_view Field(std::string_view name) const {
    const std::string* value = channel::FindField(fields, name);
    return value == nullptr ? std::string_view() : *value;
  }
};

class HttpConnection : public std::enable_shared_from_this<HttpConnection>,
                       private RequestParser::Sink {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;

  struct ConnectionLimits {
    size_t body_bytes = 32UL << 20;             // where bodies are gathered
    std::chrono::milliseconds request{30'000};  // from its first byte to its last, or to the next
                                                // piece of a body that is not gathered
    std::chrono::milliseconds idle{60'000};     // between two requests
    std::chrono::milliseconds write{30'000};    // in which a client must take something
    size_t held_bytes = 256UL << 20;            // received of all connections' requests, at a time
  };
  struct Callbacks {
    // A request: complete, or its head where `body` takes the rest. It is answered by one Respond,
    // or by Start … EndStream, now or later; the next one is read after that.
    std::function<void(HttpConnection&, HttpRequest)> request;
    std::function<void(HttpConnection&, std::string_view)> body;
    std::function<void(HttpConnection&)> body_end;
    // The rest of a request's body is refused, with this status: the request is over, and the
    // connection has answered it, or breaks off the answer that has begun.
    std::function<void(HttpConnection&, int status)> refused;
    // Where bodies are gathered: the head of a request that has one. What refuses it answers it,
    // and the body is not taken. May be null.
    std::function<void(HttpConnection&, const HttpRequest&)> head;
    // The client is gone, or was too slow; called once, at the end of every connection.
    std::function<void(HttpConnection&)> closed;
  };

  // `fds`: whether descriptors are taken; `held`: what all connections hold together, in bytes.
  static std::shared_ptr<HttpConnection> Start(boost::asio::io_context& io, Socket socket, bool fds,
                                               const ConnectionLimits& limits, Callbacks callbacks,
                                               std::shared_ptr<size_t> held);
  ~HttpConnection() override;

  // An answer with a body; `type` is its media type.
  void Respond(int status, const std::string& type, std::string body,
               const std::vector<std::pair<std::string, std::string>>& fields = {});
  // An answer that says what is wrong: application/problem+json (RFC 9457), with a code of ours.
  void RespondProblem(int status, const std::string& code, const std::string& detail,
                      const std::vector<std::pair<std::string, std::string>>& fields = {});
  // An answer whose body comes in pieces. Where the fields have no Content-Length it is chunked.
  void Start(int status, const channel::Fields& fields, bool has_body);
  // `written` is called when the piece has been taken by the socket, where that matters.
  void Write(std::string piece, std::function<void()> written = nullptr);
  // A text that others hold too: it is not copied.
  using SharedText = std::shared_ptr<const std::string>;
  void Write(SharedText text);
  // Its pieces, one after the other, are the body.
  void RespondShared(int status, const std::string& type, const std::vector<SharedText>& pieces,
                     const std::vector<std::pair<std::string, std::string>>& fields = {});
  void EndStream();
  // An answer that has begun cannot be completed: the client must not take it for complete.
  void Abort();
  // What says nothing in the body that has begun, as a comment does.
  void SetFiller(std::string filler) { filler_ = std::move(filler); }
  // While paused nothing is read: the client waits.
  void Pause();
  void Resume();
  // No more requests; what is being answered is still written, as long as its client takes it, and
  // half a request has two seconds to become a whole one.
  void Finish();
  void Close();

  bool closed() const { return connection_ == ConnectionState::kClosed; }
  // Between two requests.
  bool idle() const {
    return arrival_ == RequestArrival::kAwaited && response_ == ResponseState::kNone;
  }
  size_t unwritten() const { return unwritten_; }  // bytes
  // Who it is: a uid, for Unix sockets; an address, for others ("" for Unix sockets).
  std::optional<uid_t> PeerUid() const;
  std::string PeerAddress() const;

 private:
  struct Piece {
    std::string own;
    SharedText shared;  // in the other's place, where there is one
    std::function<void()> written;
    std::string_view bytes() const { return shared ? *shared : own; }
  };
  enum class ConnectionState {
    kOpen,
    kLingering,  // all is written: what still comes in is for nobody
    kClosed
  };
  // What is there of the request that is served, or comes next.
  enum class RequestArrival { kAwaited, kBegun, kComplete };
  // Its answer, which may begin before all of the request is there. Never goes back.
  enum class ResponseState {
    kNone,
    kAsked,  // the handler has the request
    kBegun,  // its head is on the way
    kDone    // nothing more comes; not all of it may be written yet
  };
  enum class ResponseFraming { kLength, kChunked, kUntilClose };

  HttpConnection(boost::asio::io_context& io, Socket socket, bool fds,
                 const ConnectionLimits& limits, Callbacks callbacks, std::shared_ptr<size_t> held);
  bool gathers() const { return !callbacks_.body; }
  void AwaitReadable();
  bool Receive();
  void OnClientFin();
  void Probe();
  void Parse();
  void OnHead(RequestHead head) override;
  void OnBody(std::string_view bytes) override;
  void OnComplete() override;
  void OnTimeout();
  void Refuse(const RequestParser::Problem& problem);
  void RefuseWith(int status, const std::string& code, const std::string& detail);
  void Release();
  void Drop();
  void Answered();
  void Linger();
  void NextRequest();
  void Send(std::string bytes, std::function<void()> written = nullptr);
  void Send(Piece piece);
  ssize_t SendPieces();
  void Flush();

  boost::asio::io_context& io_;
  Socket socket_;
  const bool takes_fds_;
  const ConnectionLimits limits_;
  Callbacks callbacks_;
  std::optional<RequestParser> parser_;
  HttpRequest request_;
  std::string unread_;  // received, not parsed yet
  const std::shared_ptr<size_t> held_;
  size_t held_here_ = 0;
  std::vector<UniqueFd> fds_;
  bool lost_fds_ = false;
  std::deque<Piece> pieces_;
  size_t written_ = 0;  // of the first piece
  size_t unwritten_ = 0;
  loop::Deadline read_by_, write_by_, probe_;
  std::string filler_;
  ConnectionState connection_ = ConnectionState::kOpen;
  RequestArrival arrival_ = RequestArrival::kAwaited;
  ResponseState response_ = ResponseState::kNone;
  ResponseFraming framing_ = ResponseFraming::kLength;  // once it is begun
  bool expects_continue_ = false;                       // the client waits for 100 Continue
  bool keep_alive_ = true, http11_ = true, head_ = false;
  bool reading_ = false, flushing_ = false, paused_ = false;
  bool finishing_ = false;  // no further request is taken
  bool failed_ = false;     // reading failed, which is no end
};

// The reason phrase of a status, as in "404 Not Found".
std::string StatusText(int status);

}  // namespace postern::server
