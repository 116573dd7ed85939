#include "server/http/http_connection.h"

#include <sys/socket.h>
#include <time.h>

#include <boost/asio/post.hpp>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/descriptor_rights.h"
#include "base/eintr.h"
#include "base/format.h"
#include "base/socket_address.h"
#include "base/text.h"

namespace postern::server {
namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;

constexpr size_t kReadBytes = 64 * 1024;
// Of a body that is passed on: HTTP/2 libraries count in signed numbers.
constexpr uint64_t kLongestBody = std::numeric_limits<int64_t>::max();
constexpr int kPiecesACall = 64;
// How soon it is known that a client that closed its half is gone altogether.
constexpr auto kProbeEvery = std::chrono::seconds(1);
constexpr auto kLingerFor = std::chrono::seconds(2);
// In which a client sends the rest of its request, or takes something of its answer, when the
// server is stopping: it holds that up no longer.
constexpr auto kFinishWithin = std::chrono::seconds(2);

// "Date: …", made once a second.
const std::string& DateLine() {
  static time_t at = 0;
  static std::string line;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != at) {
    at = now.tv_sec;
    char text[64];
    tm utc{};
    ::gmtime_r(&at, &utc);
    std::strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
    line = text;
  }
  return line;
}

std::string ChunkLine(size_t size) { return fmt::format("{:x}\r\n", size); }

}  // namespace

std::string StatusText(int status) {
  return std::string(http::obsolete_reason(static_cast<http::status>(status)));
}

std::shared_ptr<HttpConnection> HttpConnection::Start(boost::asio::io_context& io, Socket socket,
                                                      bool fds, const ConnectionLimits& limits,
                                                      Callbacks callbacks,
                                                      std::shared_ptr<size_t> held) {
  std::shared_ptr<HttpConnection> connection(new HttpConnection(
      io, std::move(socket), fds, limits, std::move(callbacks), std::move(held)));
  ErrorCode ignored;
  connection->socket_.non_blocking(true, ignored);
  connection->NextRequest();
  return connection;
}

HttpConnection::HttpConnection(boost::asio::io_context& io, Socket socket, bool fds,
                               const ConnectionLimits& limits, Callbacks callbacks,
                               std::shared_ptr<size_t> held)
    : io_(io),
      socket_(std::move(socket)),
      takes_fds_(fds),
      limits_(limits),
      callbacks_(std::move(callbacks)),
      held_(std::move(held)),
      read_by_(io, [this] { OnTimeout(); }),
      write_by_(io, [this] { Close(); }),
      probe_(io, [this] { Probe(); }) {}

HttpConnection::~HttpConnection() = default;

// ---- reading

void HttpConnection::NextRequest() {
  parser_.emplace(static_cast<RequestParser::Sink&>(*this),
                  gathers() ? limits_.body_bytes : kLongestBody);
  (void)std::exchange(request_, {});
  arrival_ = RequestArrival::kAwaited;
  response_ = ResponseState::kNone;
  expects_continue_ = paused_ = false;
  fds_.clear();
  read_by_.SetAfter(limits_.idle);
  if (!unread_.empty()) {
    Release();
    return Parse();
  }
  Drop();
  AwaitReadable();
}

void HttpConnection::OnTimeout() {
  if (closed()) return;
  if (connection_ == ConnectionState::kLingering || arrival_ == RequestArrival::kAwaited)
    return Close();
  const bool asked = response_ != ResponseState::kNone;
  const bool slow_body = asked && arrival_ != RequestArrival::kComplete && !gathers();
  if (slow_body && (finishing_ || response_ != ResponseState::kAsked)) return Close();
  if (!asked && finishing_) return RefuseWith(503, "stopping", "the server is stopping");
  if (!asked || slow_body)
    RefuseWith(408, "request_timeout",
               fmt::format("the request did not arrive within {} ms", limits_.request.count()));
}

// Also while a request is being answered: a client that goes away is noticed.
void HttpConnection::AwaitReadable() {
  if (closed() || std::exchange(reading_, true)) return;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const ErrorCode& error) {
    self->reading_ = false;
    if (self->closed()) return;
    const bool lingering = self->connection_ == ConnectionState::kLingering;
    if (self->paused_ && !lingering) return;  // Resume goes on
    if (error) return self->Close();
    if (!self->Receive()) return self->OnClientFin();
    if (lingering) {
      self->Drop();
      return self->AwaitReadable();
    }
    if (self->arrival_ != RequestArrival::kComplete) return self->Parse();
    // What a client sends ahead waits in the socket.
    if (self->unread_.empty()) self->AwaitReadable();
  });
}

// RFC 9112 section 9.6: a client may close its half when its request is complete. One that went
// away altogether looks the same over TCP until something is sent to it, which it resets.
void HttpConnection::OnClientFin() {
  if (arrival_ != RequestArrival::kComplete || connection_ == ConnectionState::kLingering ||
      failed_ || (!http11_ && response_ != ResponseState::kDone))
    return Close();
  keep_alive_ = false;
  socket_.async_wait(Socket::wait_error, [self = shared_from_this()](const ErrorCode&) {
    if (self->connection_ != ConnectionState::kLingering) self->Close();
  });
  Probe();
}

// Sends what a client that is there passes over (RFC 9110 section 15.2).
void HttpConnection::Probe() {
  if (closed() || response_ == ResponseState::kDone) return;
  const bool begun = response_ == ResponseState::kBegun;
  if (unwritten_ == 0 && !begun) Send("HTTP/1.1 100 Continue\r\n\r\n");
  if (unwritten_ == 0 && begun && !filler_.empty()) Write(filler_);
  probe_.SetAfter(kProbeEvery);
}

void HttpConnection::Pause() {
  paused_ = true;
  read_by_.Clear();  // it is not the client that takes its time
}

void HttpConnection::Resume() {
  if (!std::exchange(paused_, false)) return;
  read_by_.SetAfter(finishing_ ? kFinishWithin : limits_.request);
  AwaitReadable();
}

// Takes what is there. False at the end.
bool HttpConnection::Receive() {
  char buffer[kReadBytes];
  iovec part{buffer, sizeof buffer};
  DescriptorRights rights;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  rights.MakeRoom(message);
  const ssize_t n = Uninterrupted([&] {
    return ::recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  });
  failed_ = n < 0 && errno != EAGAIN;
  if (n < 0) return !failed_;
  lost_fds_ = lost_fds_ || (message.msg_flags & MSG_CTRUNC) != 0;
  for (UniqueFd& fd : DescriptorRights::Receive(message)) {
    if (!takes_fds_) continue;
    lost_fds_ = lost_fds_ || fds_.size() == kMaxFds;
    if (fds_.size() < kMaxFds) fds_.push_back(std::move(fd));
  }
  unread_.append(buffer, static_cast<size_t>(n));
  held_here_ += static_cast<size_t>(n);
  *held_ += static_cast<size_t>(n);
  return n > 0;
}

// What is held from now on is what came ahead.
void HttpConnection::Release() {
  *held_ -= held_here_;
  held_here_ = closed() ? 0 : unread_.size();
  *held_ += held_here_;
}

void HttpConnection::Parse() {
  if (gathers() && *held_ > limits_.held_bytes && held_here_ > kReadBytes)
    return RefuseWith(503, "too_much_at_once",
                      "the server holds as many bytes of requests as it may; try again");
  if (arrival_ == RequestArrival::kAwaited) {
    arrival_ = RequestArrival::kBegun;
    read_by_.SetAfter(limits_.request);
  }
  const auto self = shared_from_this();
  unread_.erase(0, parser_->Parse(unread_));
  if (closed()) return;
  if (parser_->problem()) return Refuse(*parser_->problem());
  if (!gathers() || response_ == ResponseState::kDone) Release();
  if (arrival_ == RequestArrival::kComplete) {
    if (unread_.empty()) AwaitReadable();
    return;
  }
  if (std::exchange(expects_continue_, false) && response_ < ResponseState::kBegun)
    Send("HTTP/1.1 100 Continue\r\n\r\n");
  if (!paused_) AwaitReadable();
}

void HttpConnection::OnHead(RequestHead head) {
  request_.has_body = head.has_body();
  if (gathers()) request_.body.reserve(head.length);
  request_.method = std::move(head.method);
  request_.target = std::move(head.target);
  request_.fields = std::move(head.fields);
  http11_ = head.http11;
  keep_alive_ = head.keep_alive && !finishing_;
  head_ = request_.method == "HEAD";
  expects_continue_ =
      request_.has_body && EqualsIgnoringCase(request_.Field("expect"), "100-continue");
  if (gathers()) {
    if (request_.has_body && callbacks_.head) callbacks_.head(*this, request_);
    return;
  }
  response_ = ResponseState::kAsked;
  request_.fds = std::move(fds_);
  request_.lost_fds = std::exchange(lost_fds_, false);
  callbacks_.request(*this, std::move(request_));
}

void HttpConnection::OnBody(std::string_view bytes) {
  if (closed() || response_ == ResponseState::kDone) return;
  if (gathers()) {
    request_.body.append(bytes);
    return;
  }
  read_by_.SetAfter(finishing_ ? kFinishWithin : limits_.request);
  callbacks_.body(*this, bytes);
}

void HttpConnection::OnComplete() {
  if (closed()) return;
  arrival_ = RequestArrival::kComplete;
  read_by_.Clear();
  if (!gathers()) {
    if (response_ != ResponseState::kDone && callbacks_.body_end) callbacks_.body_end(*this);
    return;
  }
  if (response_ == ResponseState::kDone) return;  // by its head
  response_ = ResponseState::kAsked;
  request_.fds = std::move(fds_);
  request_.lost_fds = std::exchange(lost_fds_, false);
  callbacks_.request(*this, std::move(request_));
}

void HttpConnection::Refuse(const RequestParser::Problem& problem) {
  const char* code = problem.status == 413   ? "body_too_large"
                     : problem.status == 431 ? "headers_too_large"
                     : problem.status == 501 ? "not_implemented"
                                             : "bad_http";
  const bool ours = problem.status == 400;
  RefuseWith(problem.status, code, (ours ? "this is no HTTP/1.1 request: " : "") + problem.detail);
}

void HttpConnection::RefuseWith(int status, const std::string& code, const std::string& detail) {
  const bool with_handler =
      response_ == ResponseState::kAsked || response_ == ResponseState::kBegun;
  if (with_handler && callbacks_.refused) callbacks_.refused(*this, status);
  // An answer that has begun is not completed: what the client meant is not known any more.
  if (response_ == ResponseState::kBegun) return Abort();
  arrival_ = RequestArrival::kComplete;  // nothing that follows is read as a request
  keep_alive_ = false;
  Drop();
  if (response_ != ResponseState::kDone) RespondProblem(status, code, detail);
}

// Of what was received nothing is kept, nor the room for it.
void HttpConnection::Drop() {
  std::string().swap(unread_);
  (void)std::exchange(request_, {});  // a string that is assigned to keeps its room
  fds_.clear();
  Release();
}

// ---- answering

void HttpConnection::Respond(int status, const std::string& type, std::string body,
                             const std::vector<std::pair<std::string, std::string>>& fields) {
  channel::Fields all;
  if (!type.empty()) all.push_back({"Content-Type", type});
  if (status != 204) all.push_back({"Content-Length", std::to_string(body.size())});
  for (const auto& [name, value] : fields) all.push_back({name, value});
  Start(status, all, !body.empty());
  if (!body.empty()) Write(std::move(body));
  EndStream();
}

void HttpConnection::RespondProblem(
    int status, const std::string& code, const std::string& detail,
    const std::vector<std::pair<std::string, std::string>>& fields) {
  const nlohmann::json problem = {
      {"status", status}, {"title", StatusText(status)}, {"code", code}, {"detail", detail}};
  Respond(
      status, "application/problem+json",
      fmt::format("{}\n", problem.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)),
      fields);
}

void HttpConnection::Start(int status, const channel::Fields& fields, bool has_body) {
  if (closed() || response_ == ResponseState::kDone) return;
  // What of the request is not there yet will not be read.
  if (arrival_ != RequestArrival::kComplete) keep_alive_ = false;
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", status, StatusText(status));
  head += DateLine();
  bool length = false;
  for (const channel::Field& f : fields) {
    head.append(f.name).append(": ").append(f.value).append("\r\n");
    length = length || EqualsIgnoringCase(f.name, "content-length");
  }
  response_ = ResponseState::kBegun;
  framing_ = !has_body || head_ || length ? ResponseFraming::kLength
             : http11_                    ? ResponseFraming::kChunked
                                          : ResponseFraming::kUntilClose;
  if (framing_ == ResponseFraming::kChunked) head += "Transfer-Encoding: chunked\r\n";
  if (framing_ == ResponseFraming::kUntilClose) keep_alive_ = false;
  if (!keep_alive_) {
    head += "Connection: close\r\n";
  } else if (!http11_) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  Send(std::move(head));
}

void HttpConnection::Write(std::string piece, std::function<void()> written) {
  if (response_ == ResponseState::kDone) return;  // the request was refused meanwhile
  if (head_ || piece.empty()) return Send({}, std::move(written));
  if (framing_ == ResponseFraming::kChunked) {
    piece = fmt::format("{}{}\r\n", ChunkLine(piece.size()), piece);
  }
  Send(std::move(piece), std::move(written));
}

void HttpConnection::Write(SharedText text) {
  if (response_ == ResponseState::kDone || head_ || text->empty()) return;
  if (framing_ == ResponseFraming::kChunked) Send(ChunkLine(text->size()));
  Send(Piece{.shared = std::move(text)});
  if (framing_ == ResponseFraming::kChunked) Send("\r\n");
}

void HttpConnection::RespondShared(int status, const std::string& type,
                                   const std::vector<SharedText>& pieces,
                                   const std::vector<std::pair<std::string, std::string>>& fields) {
  size_t length = 0;
  for (const SharedText& piece : pieces) length += piece->size();
  channel::Fields all = {{"Content-Type", type}, {"Content-Length", std::to_string(length)}};
  for (const auto& [name, value] : fields) all.push_back({name, value});
  Start(status, all, length > 0);
  for (const SharedText& piece : pieces) Write(piece);
  EndStream();
}

void HttpConnection::EndStream() {
  if (response_ == ResponseState::kDone) return;
  if (framing_ == ResponseFraming::kChunked && !head_) Send("0\r\n\r\n");
  Answered();
}

void HttpConnection::Abort() {
  if (closed()) return;
  // A reset: where the end of the connection is the end of the body, nothing else tells.
  const linger at_once{1, 0};
  ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  Close();
}

void HttpConnection::Answered() {
  if (closed()) return;
  response_ = ResponseState::kDone;
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
  connection_ = ConnectionState::kLingering;
  Drop();
  read_by_.SetAfter(kLingerFor);
  AwaitReadable();
}

void HttpConnection::Finish() {
  finishing_ = true;
  if (idle()) return Close();
  if (arrival_ != RequestArrival::kComplete && !paused_) read_by_.SetAfter(kFinishWithin);
  if (flushing_) write_by_.SetAfter(kFinishWithin);
}

void HttpConnection::Send(std::string bytes, std::function<void()> written) {
  Send(Piece{.own = std::move(bytes), .written = std::move(written)});
}

void HttpConnection::Send(Piece piece) {
  if (closed()) return;
  unwritten_ += piece.bytes().size();
  pieces_.push_back(std::move(piece));
  if (std::exchange(flushing_, true)) return;
  boost::asio::post(io_, [self = shared_from_this()] { self->Flush(); });
}

// Of all pieces as much as the socket takes, by one call where it takes them all.
ssize_t HttpConnection::SendPieces() {
  iovec parts[kPiecesACall];
  int count = 0;
  for (auto piece = pieces_.begin(); piece != pieces_.end() && count < kPiecesACall; ++piece) {
    const size_t from = count == 0 ? written_ : 0;
    const std::string_view bytes = piece->bytes().substr(from);
    parts[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
  }
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = static_cast<size_t>(count);
  return Uninterrupted(
      [&] { return ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT); });
}

void HttpConnection::Flush() {
  write_by_.Clear();
  while (!closed() && !pieces_.empty()) {
    ssize_t n = unwritten_ == 0 ? 0 : SendPieces();
    if (n < 0 && errno != EAGAIN) return Close();
    if (n < 0) {
      write_by_.SetAfter(finishing_ ? kFinishWithin : limits_.write);
      socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const ErrorCode& error) {
        self->write_by_.Clear();
        if (self->closed()) return;
        if (error) return self->Close();
        self->Flush();
      });
      return;
    }
    unwritten_ -= static_cast<size_t>(n);
    written_ += static_cast<size_t>(n);
    while (!closed() && !pieces_.empty() && written_ >= pieces_.front().bytes().size()) {
      written_ -= pieces_.front().bytes().size();
      const auto written = std::move(pieces_.front().written);
      pieces_.pop_front();
      if (written) written();
    }
  }
  flushing_ = false;
}

void HttpConnection::Close() {
  if (closed()) return;
  connection_ = ConnectionState::kClosed;
  read_by_.Clear();
  write_by_.Clear();
  probe_.Clear();
  ErrorCode ignored;
  socket_.close(ignored);
  pieces_.clear();
  Release();
  boost::asio::post(io_, [self = shared_from_this()] {
    if (self->callbacks_.closed) self->callbacks_.closed(*self);
    self->callbacks_ = {};
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

std::string HttpConnection::PeerAddress() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::getpeername(const_cast<Socket&>(socket_).native_handle(), generic, &size) != 0) return {};
  return address.ss_family == AF_UNIX ? std::string() : TextOf(address);
}

}  // namespace postern::server
