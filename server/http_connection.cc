#include "server/http_connection.h"

#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <boost/beast/http/status.hpp>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/eintr.h"

namespace postern::server {
namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;

constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kHeaderBytes = 16 * 1024;
constexpr size_t kMaxFds = 16;
constexpr auto kLingerFor = std::chrono::seconds(2);

}  // namespace

std::string StatusText(int status) {
  return std::string(http::obsolete_reason(static_cast<http::status>(status)));
}

std::shared_ptr<HttpConnection> HttpConnection::Start(boost::asio::io_context& io, Socket socket,
                                                      bool fds, const Limits& limits,
                                                      Handler handler,
                                                      std::shared_ptr<size_t> held) {
  std::shared_ptr<HttpConnection> connection(
      new HttpConnection(io, std::move(socket), fds, limits, std::move(handler), std::move(held)));
  ErrorCode ignored;
  connection->socket_.non_blocking(true, ignored);
  connection->NextRequest();
  return connection;
}

HttpConnection::HttpConnection(boost::asio::io_context& io, Socket socket, bool fds,
                               const Limits& limits, Handler handler, std::shared_ptr<size_t> held)
    : io_(io),
      socket_(std::move(socket)),
      takes_fds_(fds),
      limits_(limits),
      handler_(std::move(handler)),
      held_(std::move(held)),
      read_timer_(io),
      write_timer_(io) {}

// ---- reading

void HttpConnection::NextRequest() {
  parser_.emplace();
  parser_->header_limit(kHeaderBytes);
  parser_->body_limit(limits_.body_bytes);
  parser_->eager(true);
  begun_ = continued_ = answering_ = false;
  Release();
  fds_.clear();
  ExpectWithin(limits_.idle);
  if (!unread_.empty()) return Parse();
  AwaitReadable();
}

void HttpConnection::ExpectWithin(std::chrono::milliseconds time) {
  read_timer_.expires_after(time);
  read_timer_.async_wait([self = shared_from_this()](const ErrorCode& error) {
    if (error || self->over_ || self->answering_) return;
    if (!self->begun_) return self->Close();
    self->Refuse(http::error::end_of_stream);
  });
}

// Also while a request is being answered: a client that goes away is noticed.
void HttpConnection::AwaitReadable() {
  if (over_ || std::exchange(reading_, true)) return;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const ErrorCode& error) {
    self->reading_ = false;
    if (self->over_) return;
    if (error || !self->Receive()) return self->Close();
    if (self->lingering_) {
      self->unread_.clear();
      self->Release();
      return self->AwaitReadable();
    }
    if (!self->answering_) return self->Parse();
    // What a client sends ahead waits in the socket.
    if (self->unread_.empty()) self->AwaitReadable();
  });
}

// Takes what is there. False at the end.
bool HttpConnection::Receive() {
  char buffer[kReadBytes];
  iovec part{buffer, sizeof buffer};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = Uninterrupted([&] {
    return ::recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  });
  if (n < 0) return errno == EAGAIN;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
      UniqueFd owned(fd);
      if (takes_fds_ && fds_.size() < kMaxFds) fds_.push_back(std::move(owned));
    }
  }
  unread_.append(buffer, static_cast<size_t>(n));
  held_here_ += static_cast<size_t>(n);
  *held_ += static_cast<size_t>(n);
  return n > 0;
}

// What is held from now on is what came ahead.
void HttpConnection::Release() {
  *held_ -= held_here_;
  held_here_ = over_ ? 0 : unread_.size();
  *held_ += held_here_;
}

void HttpConnection::Parse() {
  if (*held_ > limits_.held_bytes && held_here_ > kReadBytes)
    return RefuseWith(503, "too_much_at_once",
                      "the server holds as many bytes of requests as it may; try again");
  if (!std::exchange(begun_, true)) ExpectWithin(limits_.request);
  ErrorCode error;
  const size_t used = parser_->put(boost::asio::buffer(unread_), error);
  unread_.erase(0, used);
  if (error && error != http::error::need_more) return Refuse(error);
  if (parser_->is_done()) {
    answering_ = true;
    read_timer_.cancel();
    Request request = parser_->release();
    keep_alive_ = request.keep_alive() && !finishing_;
    chunked_ = request.version() >= 11;
    head_ = request.method() == http::verb::head;
    if (unread_.empty()) AwaitReadable();
    return handler_.request(*this, std::move(request), std::move(fds_));
  }
  if (parser_->is_header_done() && !continued_ &&
      boost::beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
    continued_ = true;
    Send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  AwaitReadable();
}

void HttpConnection::Refuse(const ErrorCode& error) {
  int status = 400;
  std::string code = "bad_http", detail = "this is no HTTP/1.1 request: " + error.message();
  if (error == http::error::body_limit) {
    status = 413;
    code = "body_too_large";
    detail = "a body has at most " + std::to_string(limits_.body_bytes) + " bytes";
  } else if (error == http::error::header_limit) {
    status = 431;
    code = "headers_too_large";
    detail = "a request's header fields have at most " + std::to_string(kHeaderBytes) + " bytes";
  } else if (error == http::error::end_of_stream) {
    status = 408;
    code = "request_timeout";
    detail = "the request did not arrive within " + std::to_string(limits_.request.count()) + " ms";
  }
  RefuseWith(status, code, detail);
}

void HttpConnection::RefuseWith(int status, const std::string& code, const std::string& detail) {
  answering_ = true;
  keep_alive_ = false;
  const nlohmann::json problem = {
      {"status", status}, {"title", StatusText(status)}, {"code", code}, {"detail", detail}};
  Respond(status, "application/problem+json", problem.dump() + "\n");
}

// ---- answering

void HttpConnection::Respond(int status, const std::string& type, std::string body,
                             const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " " + StatusText(status) + "\r\n";
  if (!type.empty()) head += "Content-Type: " + type + "\r\n";
  if (status != 204) head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  for (const auto& [name, value] : fields) head.append(name + ": ").append(value + "\r\n");
  if (!keep_alive_) head += "Connection: close\r\n";
  Send(head + "\r\n" + (head_ ? std::string() : std::move(body)));
  Answered();
}

void HttpConnection::StartStream(int status, const std::string& type) {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " " + StatusText(status) +
                     "\r\nContent-Type: " + type + "\r\nCache-Control: no-store\r\n";
  if (!chunked_) keep_alive_ = false;
  head += chunked_ ? "Transfer-Encoding: chunked\r\n" : "";
  head += keep_alive_ ? "" : "Connection: close\r\n";
  Send(head + "\r\n");
}

void HttpConnection::Write(std::string piece, std::function<void()> written) {
  if (chunked_) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    piece = size + piece + "\r\n";
  }
  Send(std::move(piece), std::move(written));
}

void HttpConnection::EndStream() {
  if (chunked_) Send("0\r\n\r\n");
  Answered();
}

void HttpConnection::Answered() {
  if (over_) return;
  // When all is written: a client that reads nothing gets no further answers.
  Send({}, [self = shared_from_this()] {
    if (!self->keep_alive_ || self->finishing_) return self->Linger();
    self->NextRequest();
  });
}

// Closing at once where something was not read yet would reset the connection, and the client might
// lose the answer.
void HttpConnection::Linger() {
  ErrorCode ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  lingering_ = true;
  read_timer_.expires_after(kLingerFor);
  read_timer_.async_wait([self = shared_from_this()](const ErrorCode& error) {
    if (!error) self->Close();
  });
  AwaitReadable();
}

void HttpConnection::Finish() {
  finishing_ = true;
  if (!answering_ && !begun_) Close();
}

void HttpConnection::Send(std::string bytes, std::function<void()> written) {
  if (over_) return;
  unwritten_ += bytes.size();
  pieces_.push_back({std::move(bytes), std::move(written)});
  if (std::exchange(flushing_, true)) return;
  boost::asio::post(io_, [self = shared_from_this()] { self->Flush(); });
}

void HttpConnection::Flush() {
  while (!over_ && !pieces_.empty()) {
    Piece& piece = pieces_.front();
    const size_t left = piece.bytes.size() - written_;
    const ssize_t n = left == 0 ? 0
                                : ::send(socket_.native_handle(), piece.bytes.data() + written_,
                                         left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN) return Close();
    if (n < 0) {
      write_timer_.expires_after(limits_.write);
      write_timer_.async_wait([self = shared_from_this()](const ErrorCode& error) {
        if (!error) self->Close();
      });
      socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const ErrorCode& error) {
        self->write_timer_.cancel();
        if (self->over_) return;
        if (error) return self->Close();
        self->Flush();
      });
      return;
    }
    written_ += static_cast<size_t>(n);
    unwritten_ -= static_cast<size_t>(n);
    if (written_ < piece.bytes.size()) continue;
    const auto written = std::move(piece.written);
    pieces_.pop_front();
    written_ = 0;
    if (written) written();
  }
  flushing_ = false;
}

void HttpConnection::Close() {
  if (std::exchange(over_, true)) return;
  read_timer_.cancel();
  write_timer_.cancel();
  ErrorCode ignored;
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
  pieces_.clear();
  Release();
  boost::asio::post(io_, [self = shared_from_this()] {
    if (self->handler_.closed) self->handler_.closed(*self);
    self->handler_ = {};
  });
}

std::optional<uid_t> HttpConnection::PeerUid() const {
  ucred who{};
  socklen_t size = sizeof who;
  if (::getsockopt(const_cast<Socket&>(socket_).native_handle(), SOL_SOCKET, SO_PEERCRED, &who,
                   &size) != 0 ||
      who.pid == 0)
    return std::nullopt;
  return who.uid;
}

}  // namespace postern::server
