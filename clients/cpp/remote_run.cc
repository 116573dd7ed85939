#include "clients/cpp/remote_run.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/descriptor_rights.h"
#include "base/eintr.h"
#include "base/ip_address.h"
#include "base/socket_address.h"
#include "base/text.h"
#include "cli/print.h"
#include "supervisor/entry.h"
#include "supervisor/run.h"

namespace postern::server {
namespace {

namespace http = boost::beast::http;
using nlohmann::json;
using supervisor::Settings;

constexpr size_t kPieceBytes = 64 * 1024;
constexpr std::string_view kUnix = "unix:", kHttp = "http://";

struct Connection {
  UniqueFd fd;
  std::string host;        // for the Host field
  bool same_user = false;  // over a Unix socket
};

Result<Connection> ConnectUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return Error{"\"" + path + "\" is no path of a socket"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Connection c{UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), "postern"};
  if (!c.fd.valid() ||
      ::connect(c.fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return SystemError("no server answers at " + path);
  ucred peer{};
  socklen_t size = sizeof peer;
  c.same_user = ::getsockopt(c.fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
                peer.uid == ::geteuid();
  return c;
}

Result<Connection> ConnectTcp(const std::string& host_port) {
  auto [host, port_text] = SplitPort(host_port);
  const std::string name(host == "localhost" ? "127.0.0.1" : host);
  const auto port = ParsePort(port_text);
  const auto ip = IpAddress::Parse(
      name.starts_with('[') && name.ends_with(']') ? name.substr(1, name.size() - 2) : name);
  if (!ip || !port)
    return Error{"\"" + host_port + "\" is no IP address and port, as in 127.0.0.1:8080"};
  const SocketAddress address(*ip, *port);
  Connection c{UniqueFd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)), host_port};
  if (!c.fd.valid() || ::connect(c.fd.get(), address.generic(), address.size) != 0)
    return SystemError("no server answers at " + host_port);
  return c;
}

Result<Connection> Connect(const std::string& server) {
  if (server.starts_with(kUnix)) return ConnectUnix(server.substr(kUnix.size()));
  if (server.starts_with(kHttp)) {
    std::string rest = server.substr(kHttp.size());
    while (rest.ends_with('/')) rest.pop_back();
    return ConnectTcp(rest);
  }
  return Error{"\"" + server + "\" is no server; write unix:PATH or http://IP:PORT"};
}

// What a server takes of the command line's policy; a sentence for what it cannot.
Result<json> AskedPolicy(const policy::PolicyFile& p) {
  const policy::Policy& n = p.network;
  const std::pair<bool, const char*> served[] = {
      {!p.secrets.empty(), "secrets"},
      {p.audit_file.has_value(), "an audit log"},
      {n.report, "a network report"},
      {n.adapter.kind == policy::AdapterKind::kProxy, "a proxy"},
      {n.adapter.kind == policy::AdapterKind::kReplay, "a replay"}};
  for (const auto& [said, what] : served) {
    if (said)
      return Error{std::string(what) + " is the server's to give; leave it out with --server"};
  }
  json rules = json::array();
  for (const policy::Rule& r : n.rules) {
    json rule = {{r.allow ? "allow" : "deny", r.text}};
    if (!r.methods.empty()) rule["methods"] = r.methods;
    for (const policy::PathPattern& path : r.paths) {
      if (r.target.path.empty()) rule["paths"].push_back(path.text());
    }
    if (!r.headers.empty() || !r.secrets.empty() || !r.addresses.empty())
      return Error{"headers, secrets and addresses of the rule \"" + r.text +
                   "\" are the server's to give; leave them out with --server"};
    rules.push_back(std::move(rule));
  }
  json network = {{"permission", n.permission ? "allow" : "deny"}, {"rules", std::move(rules)}};
  if (n.adapter.kind == policy::AdapterKind::kNone) network["adapter"] = "none";
  json limits = json::object();
  const policy::RunLimits usual;
  for (const policy::RunLimitName& l : policy::kRunLimits) {
    if (p.limits.*(l.member) == usual.*(l.member)) continue;
    const std::string_view unit = l.unit;  // " bytes" is what a number without one is of
    limits[l.name] = std::to_string(p.limits.*(l.member)) + (unit == " ms"  ? "ms"
                                                             : unit == "us" ? "us"
                                                                            : "");
  }
  return json{{"version", 1}, {"network", std::move(network)}, {"limits", std::move(limits)}};
}

// What is an option of the server, and not of a run that it is asked for.
Status CheckOptions(const Settings& s) {
  const std::pair<bool, const char*> served[] = {
      {s.record_file.has_value(), "a recording is the server's to make; leave it out"},
      {s.verbose, "lines of requests are printed by postern serve --verbose; leave it out"},
      {!s.required_layers.empty(), "layers are required of postern serve --require; leave it out"},
      {s.jitless, "--jitless is an option of postern serve; leave it out"},
      {s.debug_seccomp, "--debug-seccomp is an option of postern serve; leave it out"}};
  for (const auto& [said, what] : served) {
    if (said) return Error{std::string(what) + " with --server"};
  }
  return Ok{};
}

Result<json> Body(const Settings& s, supervisor::Entry& entry, bool with_directories) {
  auto policy = AskedPolicy(s.policy);
  if (!policy) return policy.error();
  worker::Order& order = entry.order;
  json body = {{"arguments", s.arguments}, {"env", s.policy.env},
               {"cwd", order.cwd},         {"policy", *std::move(policy)},
               {"stdin", s.target != "-"}, {"console", s.json ? "outcome" : "events"}};
  if (order.eval) {
    body["code"] = order.source;
    body["eval"] = true;
    body["print"] = order.print;
    if (!s.extension.empty()) body["ext"] = s.extension;
  } else {
    const std::string path = s.target == "-"
                                 ? InDirectory(order.cwd, CodeName("[stdin]", s.extension))
                                 : order.argv.at(1);
    body["files"][path] = {{"base64", EncodeBase64(order.source)}};
    body["entry"] = path;
  }
  for (const auto& [path, bytes] : order.files)
    body["files"][path] = {{"base64", EncodeBase64(bytes)}};
  if (with_directories) {
    for (const auto& m : entry.mounts)
      body["mounts"].push_back(m.guest + (m.writable ? ":rw" : ""));
  }
  return body;
}

Status Send(int fd, std::string_view bytes, const std::vector<supervisor::OpenMount>& mounts) {
  DescriptorRights rights;
  std::vector<int> fds;
  for (const auto& m : mounts) fds.push_back(m.directory.get());
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

// Requests of this run, but for the first line.
std::string Head(const Connection& c, size_t body_bytes) {
  std::string head =
      "Host: " + c.host + "\r\nContent-Length: " + std::to_string(body_bytes) + "\r\n";
  if (const char* token = std::getenv("POSTERN_TOKEN"))
    head += "Authorization: Bearer " + std::string(token) + "\r\n";
  return head;
}

// What the server says, while our stdin goes to the run.
class Answer {
 public:
  Answer(const Settings& settings, const Connection& c)
      : settings_(settings), fd_(c.fd.get()), has_directories_(c.same_user) {
    parser_.body_limit(boost::none);
    parser_.eager(true);
  }

  RemoteResult Read() {
    std::string buffered;
    std::vector<char> piece(kPieceBytes);
    while (!parser_.is_done() && !outcome_) {
      // One of the two, where the run reads: what our stdin has, or that the last piece was taken.
      pollfd ready[] = {{fd_, POLLIN, 0},
                        {sending_.fd.valid() ? sending_.fd.get() : STDIN_FILENO, POLLIN, 0}};
      if (Uninterrupted([&] { return ::poll(ready, wants_input_ ? 2 : 1, -1); }) < 0)
        return Lost(std::strerror(errno));
      if (wants_input_ && ready[1].revents != 0) SendInput(piece);
      if (ready[0].revents == 0) continue;
      const ssize_t n = Uninterrupted([&] { return ::read(fd_, piece.data(), piece.size()); });
      if (n <= 0) return Lost(n < 0 ? std::strerror(errno) : "it hung up");
      buffered.append(piece.data(), static_cast<size_t>(n));
      boost::system::error_code error;
      for (size_t used = 1; used > 0 && !buffered.empty() && !error;) {
        used = parser_.put(boost::asio::buffer(buffered), error);
        buffered.erase(0, used);
        if (parser_.is_done()) break;
      }
      if (error && error != http::error::need_more) return Lost(error.message());
      if (parser_.is_header_done() && Streams()) TakeEvents();
      // That we hang up ends the run.
      if (unwritten_) return Refused(unwritten_->message, unwritten_->exit_status);
    }
    if (outcome_) return FromOutcome(*outcome_);
    const std::string& body = parser_.get().body();
    if (parser_.get().result_int() != 200) return FromProblem(body);
    return FromOutcome(body);
  }

 private:
  bool Streams() { return parser_.get()[http::field::content_type] == "text/event-stream"; }

  // Complete events of what has come; each has one data line.
  void TakeEvents() {
    std::string& text = parser_.get().body();
    size_t at = 0;
    for (size_t end; !unwritten_ && (end = text.find("\n\n", at)) != std::string::npos;
         at = end + 2) {
      const std::string_view event = std::string_view(text).substr(at, end - at);
      const size_t line = event.find("\ndata: ");
      if (!event.starts_with("event: ") || line == std::string_view::npos) continue;
      TakeEvent(event.substr(7, line - 7), event.substr(line + 7));
    }
    text.erase(0, at);
  }

  // The next piece of our stdin, on a connection of its own; or the end of the one before.
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
        Uninterrupted([&] { return ::read(STDIN_FILENO, piece.data(), piece.size()); });
    if (n < 0 && errno == EAGAIN) return;
    last_ = n <= 0;  // what cannot be read is at its end, as without a server
    const std::string_view body(piece.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
    auto connection = Connect(settings_.server);
    if (connection &&
        Send(connection->fd.get(),
             "POST /v1/runs/" + id_ + "/stdin" + (last_ ? "?last=true" : "") + " HTTP/1.1\r\n" +
                 Head(*connection, body.size()) + "\r\n" + std::string(body),
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
      wants_input_ = true;
    } else if (name == "stdout" || name == "stderr") {
      const json parsed = json::parse(data, nullptr, false);
      if (!parsed.is_object()) return;
      const std::string bytes =
          parsed.contains("text")
              ? parsed.value("text", std::string())
              : DecodeBase64(parsed.value("base64", std::string())).value_or("");
      const bool out = name == "stdout";
      const int error = supervisor::WriteAll(out ? STDOUT_FILENO : STDERR_FILENO, bytes);
      if (error != 0) unwritten_.emplace(out ? "standard output" : "standard error", error);
    }
  }

  RemoteResult FromOutcome(const std::string& text) {
    const json outcome = json::parse(text, nullptr, false);
    if (!outcome.is_object() || !outcome.contains("exitCode") || !outcome["exitCode"].is_number())
      return Lost("its answer is no outcome");
    RemoteResult result{.exit_status = outcome["exitCode"].get<int>()};
    if (settings_.json) result.json = text.substr(0, text.find_last_not_of('\n') + 1);
    const json error = outcome.value("error", json::object());
    if (IsOurs(outcome, result.exit_status)) result.message = error.value("message", "");
    const std::string code = error.value("cause", json::object()).value("code", "");
    if (!has_directories_ && (code == "ERR_MODULE_NOT_FOUND" || code == "MODULE_NOT_FOUND"))
      result.message =
          "over TCP the program's file alone goes to the server, and nothing that it imports: "
          "bundle it into one file";
    return result;
  }

  // Whether the error is what Postern itself has to say. What a guest throws, whatever its name,
  // the guest has printed already.
  static bool IsOurs(const json& outcome, int exit_status) {
    const json kind = outcome.value("outcome", json());
    return outcome.value("error", json::object()).value("name", "") == "PosternError" &&
           kind != "succeeded" && (kind != "failed" || exit_status == supervisor::Run::kCannotRun);
  }

  RemoteResult FromProblem(const std::string& text) {
    const json problem = json::parse(text, nullptr, false);
    const int status = static_cast<int>(parser_.get().result_int());
    const std::string plain = text.substr(0, text.find_last_not_of("\r\n") + 1);
    const std::string detail = problem.is_object() ? problem.value("detail", plain) : plain;
    const int exit_status = status >= 500 || status == 429 || status == 401
                                ? supervisor::Run::kCannotRun
                                : supervisor::kBadInput;
    const char* next = status == 401 ? "; the variable POSTERN_TOKEN gives one" : "";
    return Refused("the server refuses: " + detail + next, exit_status);
  }

  RemoteResult Lost(const std::string& why) {
    return Refused("the server was lost: " + why, supervisor::Run::kCannotRun);
  }

  RemoteResult Refused(const std::string& why, int status) {
    RemoteResult result{.exit_status = status, .message = why};
    if (settings_.json) result.json = supervisor::Outcome::Refused(why, status).ToJson();
    return result;
  }

  const Settings& settings_;
  const int fd_;
  const bool has_directories_;  // of the program, at the server
  http::response_parser<http::string_body> parser_;
  std::optional<std::string> outcome_;
  std::string id_;            // of the run
  bool wants_input_ = false;  // the run reads its stdin
  bool last_ = false;         // our stdin is at its end
  Connection sending_;        // a piece of it, until it is taken
  std::optional<supervisor::Unwritten> unwritten_;
};

RemoteResult Refusal(const Settings& settings, const Error& error, int status) {
  RemoteResult result{.exit_status = status, .message = error.message};
  if (settings.json) result.json = supervisor::Outcome::Refused(error.message, status).ToJson();
  return result;
}

}  // namespace

RemoteResult RunRemotely(const Settings& settings) {
  if (const Status known = CheckOptions(settings); !known)
    return Refusal(settings, known.error(), supervisor::kWrongUsage);
  auto entry = supervisor::ReadEntry(settings);
  if (!entry) return Refusal(settings, entry.error(), supervisor::kBadInput);
  for (const std::string& note : entry->notes) supervisor::Say(note);
  auto connection = Connect(settings.server);
  if (!connection) {
    const bool named = connection.error().errnum != 0;  // it is a server's name, and none answers
    return Refusal(settings, connection.error(),
                   named ? supervisor::Run::kCannotRun : supervisor::kWrongUsage);
  }
  if (!connection->same_user) entry->mounts.clear();
  if (entry->mounts.size() > kMaxFds)
    return Refusal(
        settings,
        Error{"a run with --server has at most " + std::to_string(kMaxFds) +
              " directories, its module's among them; this one has " +
              std::to_string(entry->mounts.size()) + ": mount one that has others in it"},
        supervisor::kWrongUsage);
  const auto body = Body(settings, *entry, connection->same_user);
  if (!body) return Refusal(settings, body.error(), supervisor::kWrongUsage);
  const std::string bytes = body->dump(-1, ' ', false, json::error_handler_t::replace);
  const std::string& trace = settings.policy.network.trace;
  const std::string head = "POST /v1/runs HTTP/1.1\r\n" + Head(*connection, bytes.size()) +
                           (trace.empty() ? "" : "Traceparent: " + trace + "\r\n") +
                           "Content-Type: application/json\r\nAccept: text/event-stream\r\n\r\n";
  const Status sent = Send(connection->fd.get(), head + bytes, entry->mounts);
  // A server that refuses early has said why.
  RemoteResult result = Answer(settings, *connection).Read();
  if (!sent && result.exit_status == supervisor::Run::kCannotRun && result.message.empty())
    return Refusal(settings, sent.error(), supervisor::Run::kCannotRun);
  return result;
}

}  // namespace postern::server
