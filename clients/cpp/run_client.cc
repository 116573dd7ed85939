#include "clients/cpp/run_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "base/descriptor_rights.h"
#include "base/eintr.h"
#include "base/format.h"
#include "base/ip_address.h"
#include "base/socket_address.h"

namespace postern::client {
namespace {

namespace http = boost::beast::http;
using nlohmann::json;

constexpr size_t kPieceBytes = 64 * 1024;
constexpr std::string_view kUnix = "unix:", kHttp = "http://";

Status Send(int fd, std::string_view bytes, const std::vector<int>& fds) {
  DescriptorRights rights;
  for (bool first = true; !bytes.empty(); first = false) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (first) {
      if (Status attached = rights.Attach(message, fds); !attached) return attached;
    }
    const ssize_t n = Uninterrupted([&] { return ::sendmsg(fd, &message, MSG_NOSIGNAL); });
    if (n < 0) return SystemError("the server hung up");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Ok{};
}

}  // namespace

Result<RunClient::Connection> RunClient::ConnectUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return Error{fmt::format("\"{}\" is no path of a socket", path)};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Connection c{UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), "postern"};
  if (!c.fd.valid() ||
      ::connect(c.fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return SystemError(fmt::format("no server answers at {}", path));
  ucred peer{};
  socklen_t size = sizeof peer;
  c.same_user = ::getsockopt(c.fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
                peer.uid == ::geteuid();
  return c;
}

Result<RunClient::Connection> RunClient::ConnectTcp(const std::string& host_port) {
  auto [host, port_text] = SplitPort(host_port);
  const std::string name(host == "localhost" ? "127.0.0.1" : host);
  const auto port = ParsePort(port_text);
  const auto ip = IpAddress::Parse(
      name.starts_with('[') && name.ends_with(']') ? name.substr(1, name.size() - 2) : name);
  if (!ip || !port)
    return Error{fmt::format("\"{}\" is no IP address and port, as in 127.0.0.1:8080", host_port)};
  const SocketAddress address(*ip, *port);
  Connection c{UniqueFd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)), host_port};
  if (!c.fd.valid() || ::connect(c.fd.get(), address.generic(), address.size) != 0)
    return SystemError(fmt::format("no server answers at {}", host_port));
  return c;
}

Result<RunClient::Connection> RunClient::Open(const std::string& server) {
  if (server.starts_with(kUnix)) return ConnectUnix(server.substr(kUnix.size()));
  if (server.starts_with(kHttp)) {
    std::string rest = server.substr(kHttp.size());
    while (rest.ends_with('/')) rest.pop_back();
    return ConnectTcp(rest);
  }
  return Error{fmt::format("\"{}\" is no server; write unix:PATH or http://IP:PORT", server)};
}

// What the server says, while the input goes to the run.
class RunClient::Transfer {
 public:
  Transfer(const std::string& server, const Connection& c, const Options& options)
      : server_(server), options_(options), fd_(c.fd.get()) {
    parser_.body_limit(boost::none);
    parser_.eager(true);
  }

  // The head of a request, but for its first line and its last.
  static std::string Head(const Connection& c, size_t body_bytes, const std::string& token) {
    std::string head = fmt::format("Host: {}\r\nContent-Length: {}\r\n", c.host, body_bytes);
    if (!token.empty())
      fmt::format_to(std::back_inserter(head), "Authorization: Bearer {}\r\n", token);
    return head;
  }

  Result<RunAnswer> Read() {
    std::string buffered;
    std::vector<char> piece(kPieceBytes);
    while (!parser_.is_done() && !outcome_) {
      // One of the two, where the run reads: what our stdin has, or that the last piece was taken.
      pollfd ready[] = {{fd_, POLLIN, 0},
                        {sending_.fd.valid() ? sending_.fd.get() : options_.input, POLLIN, 0}};
      if (Uninterrupted([&] { return ::poll(ready, wants_input_ ? 2 : 1, -1); }) < 0)
        return ServerLost(std::strerror(errno));
      if (wants_input_ && ready[1].revents != 0) SendInput(piece);
      if (ready[0].revents == 0) continue;
      const ssize_t n = Uninterrupted([&] { return ::read(fd_, piece.data(), piece.size()); });
      if (n <= 0) return ServerLost(n < 0 ? std::strerror(errno) : "it hung up");
      buffered.append(piece.data(), static_cast<size_t>(n));
      boost::system::error_code error;
      for (size_t used = 1; used > 0 && !buffered.empty() && !error;) {
        used = parser_.put(boost::asio::buffer(buffered), error);
        buffered.erase(0, used);
        if (parser_.is_done()) break;
      }
      if (error && error != http::error::need_more) return ServerLost(error.message());
      if (parser_.is_header_done() && Streams()) TakeEvents();
      if (given_up_) return RunAnswer{};  // that we hang up ends the run
    }
    if (outcome_) return RunAnswer{200, *std::move(outcome_), {}};
    const int status = static_cast<int>(parser_.get().result_int());
    std::string& body = parser_.get().body();
    if (status == 200) return RunAnswer{status, std::move(body), {}};
    const json problem = json::parse(body, nullptr, false);
    const std::string plain = body.substr(0, body.find_last_not_of("\r\n") + 1);
    return RunAnswer{status, {}, problem.is_object() ? problem.value("detail", plain) : plain};
  }

 private:
  bool Streams() { return parser_.get()[http::field::content_type] == "text/event-stream"; }

  // Complete events of what has come; each has one data line.
  void TakeEvents() {
    std::string& text = parser_.get().body();
    size_t at = 0;
    for (size_t end; !given_up_ && (end = text.find("\n\n", at)) != std::string::npos;
         at = end + 2) {
      const std::string_view event = std::string_view(text).substr(at, end - at);
      const size_t line = event.find("\ndata: ");
      if (!event.starts_with("event: ") || line == std::string_view::npos) continue;
      TakeEvent(event.substr(7, line - 7), event.substr(line + 7));
    }
    text.erase(0, at);
  }

  // The next piece of the input, on a connection of its own; or the end of the one before.
  void SendInput(std::vector<char>& piece) {
    if (sending_.fd.valid()) {
      char status[sizeof "HTTP/1.1 204" - 1];
      const ssize_t n = Uninterrupted(
          [&] { return ::recv(sending_.fd.get(), status, sizeof status, MSG_WAITALL); });
      sending_ = {};
      // The run takes no more, or the server is gone, which the other connection tells.
      wants_input_ =
          !last_ &&
          std::string_view(status, static_cast<size_t>(std::max<ssize_t>(n, 0))) == "HTTP/1.1 204";
      return;
    }
    const ssize_t n =
        Uninterrupted([&] { return ::read(options_.input, piece.data(), piece.size()); });
    if (n < 0 && errno == EAGAIN) return;
    last_ = n <= 0;  // what cannot be read is at its end, as without a server
    const std::string_view body(piece.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
    auto connection = Open(server_);
    if (connection && Send(connection->fd.get(),
                           fmt::format("POST /v1/runs/{}/stdin{} HTTP/1.1\r\n{}\r\n{}", id_,
                                       last_ ? "?last=true" : "",
                                       Head(*connection, body.size(), options_.token), body),
                           {}))
      sending_ = *std::move(connection);
    else
      wants_input_ = false;
  }

  void TakeEvent(std::string_view name, std::string_view data) {
    if (name == "outcome") {
      outcome_ = data;
    } else if (name == "run") {
      const json run = json::parse(data, nullptr, false);
      if (run.is_object()) id_ = run.value("id", std::string());
    } else if (name == "stdin") {
      wants_input_ = options_.input >= 0;
    } else if (name == "stdout" || name == "stderr") {
      const json parsed = json::parse(data, nullptr, false);
      if (!parsed.is_object()) return;
      const std::string bytes =
          parsed.contains("text")
              ? parsed.value("text", std::string())
              : DecodeBase64(parsed.value("base64", std::string())).value_or("");
      given_up_ = options_.console && !options_.console(name == "stderr", bytes);
    }
  }

  static Error ServerLost(const std::string& why) {
    return Error{fmt::format("the server was lost: {}", why)};
  }

  const std::string& server_;
  const Options& options_;
  const int fd_;
  http::response_parser<http::string_body> parser_;
  std::optional<std::string> outcome_;
  std::string id_;            // of the run
  bool wants_input_ = false;  // the run reads its stdin
  bool last_ = false;         // the input is at its end
  bool given_up_ = false;
  Connection sending_;  // a piece of the input, until it is taken
};

Result<RunClient> RunClient::Connect(const std::string& server) {
  auto connection = Open(server);
  if (!connection) return connection.error();
  return RunClient(server, *std::move(connection));
}

Result<RunAnswer> RunClient::Run(const run_api::RunRequest& request,
                                 const std::vector<int>& directories, const Options& options) {
  const std::string body = ToJson(request);
  const std::string head = fmt::format(
      "POST /v1/runs HTTP/1.1\r\n{}{}Content-Type: application/json\r\nAccept: "
      "text/event-stream\r\n\r\n",
      Transfer::Head(connection_, body.size(), options.token),
      options.trace.empty() ? "" : fmt::format("Traceparent: {}\r\n", options.trace));
  // Not all may be taken: a server that refuses early has said why, and one that is gone says no
  // more. Reading tells either.
  (void)Send(connection_.fd.get(), head + body, directories).ok();
  return Transfer(server_, connection_, options).Read();
}

}  // namespace postern::client
