// HttpConnection: one client of the server, speaking HTTP/1.1: requests one after the other, each
// with a complete body, and answers that are complete or streamed.
//
// By Boost.Beast's parser and serializer, which do no I/O of their own: over a Unix socket
// descriptors come with a request (SCM_RIGHTS), which no stream of Asio's reads.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace postern::server {

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using Request = boost::beast::http::request<boost::beast::http::string_body>;

  struct Limits {
    size_t body_bytes = 32UL << 20;
    std::chrono::milliseconds request{30'000};  // from its first byte to its last
    std::chrono::milliseconds idle{60'000};     // between two requests
    std::chrono::milliseconds write{30'000};    // in which a client must take something
    size_t held_bytes = 256UL << 20;            // received of all connections' requests, at a time
  };
  struct Handler {
    // A complete request. It is answered by one Respond, or by StartStream … EndStream, now or
    // later; the next one is read after that.
    std::function<void(HttpConnection&, Request, std::vector<UniqueFd>)> request;
    // The client is gone, or was too slow; called once, at the end of every connection.
    std::function<void(HttpConnection&)> closed;
  };

  // `fds`: whether descriptors are taken; `held`: what all connections hold together, in bytes.
  static std::shared_ptr<HttpConnection> Start(boost::asio::io_context& io, Socket socket, bool fds,
                                               const Limits& limits, Handler handler,
                                               std::shared_ptr<size_t> held);

  // An answer with a body; `type` is its media type.
  void Respond(int status, const std::string& type, std::string body,
               const std::vector<std::pair<std::string, std::string>>& fields = {});
  // An answer whose body comes in pieces.
  void StartStream(int status, const std::string& type);
  // `written` is called when the piece has been taken by the socket, where that matters.
  void Write(std::string piece, std::function<void()> written = nullptr);
  void EndStream();
  // No more requests; what is being answered is still written.
  void Finish();
  void Close();

  size_t unwritten() const { return unwritten_; }  // bytes
  // Who it is: a uid, for Unix sockets.
  std::optional<uid_t> PeerUid() const;

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  struct Piece {
    std::string bytes;
    std::function<void()> written;
  };

  HttpConnection(boost::asio::io_context& io, Socket socket, bool fds, const Limits& limits,
                 Handler handler, std::shared_ptr<size_t> held);
  void AwaitReadable();
  bool Receive();
  void Parse();
  void Refuse(const boost::system::error_code& error);
  void RefuseWith(int status, const std::string& code, const std::string& detail);
  void Release();
  void Answered();
  void Linger();
  void NextRequest();
  void Send(std::string bytes, std::function<void()> written = nullptr);
  void Flush();
  void ExpectWithin(std::chrono::milliseconds time);

  boost::asio::io_context& io_;
  Socket socket_;
  const bool takes_fds_;
  const Limits limits_;
  Handler handler_;
  std::optional<Parser> parser_;
  std::string unread_;  // received, not parsed yet
  const std::shared_ptr<size_t> held_;
  size_t held_here_ = 0;
  std::vector<UniqueFd> fds_;
  std::deque<Piece> pieces_;
  size_t written_ = 0;  // of the first piece
  size_t unwritten_ = 0;
  boost::asio::steady_timer read_timer_, write_timer_;
  bool begun_ = false;      // a request's first byte is there
  bool continued_ = false;  // 100 Continue was sent
  bool answering_ = false, keep_alive_ = true, chunked_ = true, head_ = false;
  bool reading_ = false, flushing_ = false, finishing_ = false, lingering_ = false, over_ = false;
};

// The reason phrase of a status, as in "404 Not Found".
std::string StatusText(int status);

}  // namespace postern::server
