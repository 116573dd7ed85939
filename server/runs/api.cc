#include "server/runs/api.h"

#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/base64.h"
#include "base/descriptor_rights.h"
#include "base/format.h"
#include "base/text.h"
#include "policy/trace_context.h"

namespace postern::server {
namespace {

using nlohmann::json;

constexpr char kJson[] = "application/json";
constexpr char kPrometheus[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kEvents[] = "text/event-stream";
constexpr size_t kLongBody = 8 * 1024;      // bytes: below, it is read in a millisecond or two
constexpr size_t kMaxInput = 1024 * 1024;   // of a piece of stdin, which a run may hold for long
constexpr size_t kMaxAdminBody = 4 * 1024;  // nothing there has a body
// Of a door's table: what those have at least who have not said yet who they are.
constexpr size_t kNamelessShare = 4;          // one in so many
constexpr size_t kMaxUnwritten = 256 * 1024;  // of console output, until a client takes some

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

void Answer(HttpConnection& c, int status, const json& body,
            const std::vector<std::pair<std::string, std::string>>& fields = {}) {
  c.Respond(status, kJson, fmt::format("{}\n", Dump(body)), fields);
}

void AnswerProblem(HttpConnection& c, const run_api::ApiProblem& problem,
                   const std::vector<std::pair<std::string, std::string>>& fields = {}) {
  c.RespondProblem(problem.status, problem.code, problem.detail, fields);
}

void AnswerMethods(HttpConnection& c, const std::string& methods) {
  AnswerProblem(c, {405, "method_not_allowed", fmt::format("the methods here are {}", methods)},
                {{"Allow", methods}});
}

// `data` is one line of JSON.
std::string Event(const std::string& name, const std::string& data) {
  return fmt::format("event: {}\ndata: {}\n\n", name, data);
}

// Bytes as text where they are that; a piece may end within a character, and is no text then.
std::string OutputData(std::string_view bytes) {
  const std::string text(bytes);
  if (IsUtf8(text)) return Dump({{"text", text}});
  return Dump({{"base64", EncodeBase64(bytes)}});
}

void AnswerNoSuchRun(HttpConnection& c, const std::string& id) {
  AnswerProblem(c, {404, "no_such_run",
                    fmt::format("there is no run {} of yours, or not any more", id.substr(0, 64))});
}

// RFC 9112 section 3.2.2: a server takes a URL as well. Without its query.
std::string PathOf(const std::string& target) {
  size_t from = 0;
  if (!target.starts_with('/') && target.find("://") != std::string::npos)
    from = std::min(target.find('/', target.find("://") + 3), target.size());
  const std::string path = target.substr(from, target.find('?', from) - from);
  return path.empty() ? "/" : path;
}

const char* StateText(RunService::State state) {
  return state == RunService::State::kQueued    ? "queued"
         : state == RunService::State::kRunning ? "running"
                                                : "ended";
}

HttpConnection::SharedText Shared(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

// The outcome goes in as the text that it is: it holds a value that a guest wrote.
std::vector<HttpConnection::SharedText> RunText(const RunService::RunRecord& run) {
  std::string text = Dump({{"id", run.id}, {"state", StateText(run.state)}});
  if (!run.outcome) return {Shared(fmt::format("{}\n", text))};
  text.pop_back();
  return {Shared(fmt::format("{},\"outcome\":", text)), run.outcome, Shared("}\n")};
}

}  // namespace

void Api::Accept(HttpConnection::Socket socket, Door door) {
  const bool local = door == Door::kLocal;
  HttpConnection::Callbacks callbacks{
      .request = [this](HttpConnection& c,
                        HttpRequest request) { OnRequest(c, std::move(request)); },
      .head = [this](HttpConnection& c, const HttpRequest& request) { OnHead(c, request); },
      .closed =
          [this, door](HttpConnection& c) {
            const auto found = connections_.find(&c);
            if (found == connections_.end()) return;
            const RunService::RecordPtr waited_for = found->second.second.answering;
            connections_.erase(found);
            --TableOf(door).connections;
            if (waited_for) runs_.Kill(waited_for, "the client went away");
          }};
  HttpConnection::ConnectionLimits limits = options_.limits;
  if (door == Door::kAdmin) limits.body_bytes = kMaxAdminBody;
  const auto connection = HttpConnection::Start(io_, std::move(socket), local, limits,
                                                std::move(callbacks), TableOf(door).held);
  Client client{.door = door, .number = next_number_++};
  if (local) {
    client.uid = connection->PeerUid();
    client.caller = client.uid ? fmt::format("uid:{}", *client.uid) : "local";
  }
  if (!MakeRoom(client)) return connection->Close();
  connections_[connection.get()] = {connection, std::move(client)};
  ++TableOf(door).connections;
}

// Where a door's table is full, somebody makes room: who has not said yet who it is, where those
// have more than their share; else the caller with most connections, by one that waits for no run;
// else who has not said it; else that caller by its newest. So nobody loses a connection to a
// caller with more, and nobody without a token ends many runs. A newcomer that is known (Unix)
// takes from its own caller an idle one only.
bool Api::MakeRoom(const Client& newcomer) {
  if (TableOf(newcomer.door).connections < options_.connections) return true;
  std::map<std::string, CallerShare> callers;
  for (const auto& [c, entry] : connections_) {
    const auto& [connection, client] = entry;
    if (client.door != newcomer.door || connection->closed()) continue;
    CallerShare& held = callers[client.caller];
    ++held.count;
    const auto rank = std::pair(!connection->idle(), client.number);
    if (!client.answering && (!held.dispensable || rank < held.rank)) {
      held.dispensable = connection.get();
      held.rank = rank;
    }
    if (client.number >= held.newest_number) {
      held.newest = connection.get();
      held.newest_number = client.number;
    }
  }
  const CallerShare nameless = std::exchange(callers[""], {});
  const auto heaviest = std::max_element(
      callers.begin(), callers.end(),
      [](const auto& a, const auto& b) { return a.second.count < b.second.count; });
  const CallerShare& most = heaviest->second;
  const bool own = heaviest->first == newcomer.caller;
  HttpConnection* const spared = own && most.rank.first ? nullptr : most.dispensable;
  HttpConnection* chosen = own ? nullptr : most.newest;
  if (nameless.dispensable) chosen = nameless.dispensable;
  if (nameless.count <= options_.connections / kNamelessShare && spared) chosen = spared;
  if (chosen == nullptr) return false;
  chosen->Close();
  return true;
}

void Api::Drain() {
  draining_ = true;
  const auto all = connections_;
  for (const auto& [c, entry] : all) entry.first->Finish();
}

bool Api::Authorized(HttpConnection& c, Client& client, const HttpRequest& request) {
  if (client.door == Door::kLocal) return true;
  const std::string given(request.Field("authorization"));
  const size_t space = given.find(' ');
  if (space != std::string::npos && EqualsIgnoringCase(given.substr(0, space), "bearer")) {
    const std::string token = given.substr(space + 1);
    for (const auto& [known, name] : options_.tokens) {
      if (token.size() != known.size() ||
          CRYPTO_memcmp(token.data(), known.data(), known.size()) != 0)
        continue;
      client.caller = fmt::format("token:{}", name);
      return true;
    }
  }
  AnswerProblem(
      c,
      {401, "unauthorized",
       "a request needs the field Authorization: Bearer TOKEN, with a token of this server"},
      {{"WWW-Authenticate", "Bearer"}});
  return false;
}

// Nobody's body is read before a token has said whose it is.
void Api::OnHead(HttpConnection& c, const HttpRequest& request) {
  const auto found = connections_.find(&c);
  if (found != connections_.end() && found->second.second.door == Door::kToken)
    Authorized(c, found->second.second, request);
}

void Api::OnRequest(HttpConnection& c, HttpRequest request) {
  const auto found = connections_.find(&c);
  if (found == connections_.end()) return;
  Client& client = found->second.second;
  const std::string target = PathOf(request.target);
  const bool get = request.method == "GET" || request.method == "HEAD";
  if (target == "/v1/health") {
    if (!get) return AnswerMethods(c, "GET, HEAD");
    return Answer(c, 200, {{"status", "ok"}});
  }
  if (target == "/v1/ready") {
    if (!get) return AnswerMethods(c, "GET, HEAD");
    if (draining_) return AnswerProblem(c, {503, "stopping", "the server is stopping"});
    return Answer(
        c, 200, {{"status", "ready"}, {"running", runs_.running()}, {"waiting", runs_.waiting()}});
  }
  if (client.door != Door::kAdmin && !Authorized(c, client, request)) return;
  if (target == "/metrics") {
    if (!get) return AnswerMethods(c, "GET, HEAD");
    return c.Respond(200, kPrometheus, options_.metrics());
  }
  if (client.door == Door::kAdmin)
    return AnswerProblem(
        c, {404, "not_found", "here are /v1/health, /v1/ready and /metrics, and nothing else"});
  if (target == "/v1/doctor") {
    if (!get) return AnswerMethods(c, "GET, HEAD");
    return Answer(c, 200, options_.doctor);
  }
  if (target == "/v1/runs") return OnRuns(c, client, std::move(request));
  constexpr std::string_view kRun = "/v1/runs/", kInput = "/stdin";
  if (target.starts_with(kRun)) {
    const std::string id = target.substr(kRun.size());
    if (!id.ends_with(kInput)) return OnRun(c, client, request, id);
    return OnInput(c, client, std::move(request), id.substr(0, id.size() - kInput.size()));
  }
  AnswerProblem(
      c, {404, "not_found",
          fmt::format("there is nothing at {}; see docs/openapi.yaml", target.substr(0, 200))});
}

void Api::OnRuns(HttpConnection& c, Client& client, HttpRequest request) {
  if (request.method == "POST") return Submit(c, client, std::move(request));
  if (request.method != "GET") return AnswerMethods(c, "GET, POST");
  json list = json::array();
  for (const auto& run : runs_.All(client.caller))
    list.push_back({{"id", run->id}, {"state", StateText(run->state)}});
  Answer(c, 200, {{"runs", list}});
}

void Api::OnRun(HttpConnection& c, Client& client, const HttpRequest& request,
                const std::string& id) {
  const auto run = runs_.Find(client.caller, id);
  const bool removes = request.method == "DELETE";
  if (!removes && request.method != "GET") return AnswerMethods(c, "GET, DELETE");
  if (!run) return AnswerNoSuchRun(c, id);
  if (!removes) return c.RespondShared(200, kJson, RunText(*run));
  runs_.Kill(run, "killed by DELETE");
  c.Respond(204, {}, {});
}

// Answered when the guest's pipe has the piece: a client sends no faster than the guest reads.
void Api::OnInput(HttpConnection& c, Client& client, HttpRequest request, const std::string& id) {
  if (request.method != "POST") return AnswerMethods(c, "POST");
  const auto run = runs_.Find(client.caller, id);
  if (!run) return AnswerNoSuchRun(c, id);
  const std::string query =
      request.target.substr(std::min(request.target.find('?'), request.target.size()));
  if (!query.empty() && query != "?last=true" && query != "?last=false")
    return AnswerProblem(
        c, {400, "bad_request", "the query is last=true, for the last piece, or none"});
  if (request.body.size() > kMaxInput)
    return AnswerProblem(c, {413, "body_too_large",
                             fmt::format("a piece of stdin has at most {} bytes", kMaxInput)});
  if (!run->input)
    return AnswerProblem(c, {409, "no_stdin", "the run was not asked for with \"stdin\": true"});
  const auto connection = c.shared_from_this();
  const bool begun =
      run->input->Add(std::move(request.body), query == "?last=true", [connection](bool taken) {
        if (taken) return connection->Respond(204, {}, {});
        AnswerProblem(*connection, {409, "stdin_closed", "the run has ended, or reads no more"});
      });
  if (!begun) AnswerProblem(c, {409, "stdin_busy", "another piece is under way, or was the last"});
}

void Api::Submit(HttpConnection& c, Client& client, HttpRequest request) {
  if (draining_) return AnswerProblem(c, {503, "stopping", "the server is stopping"});
  const std::string_view type = request.Field("content-type");
  if (!type.empty() && !type.starts_with(kJson))
    return AnswerProblem(c, {415, "not_json", "a run is asked for in application/json"});
  const auto policy = runs_.policy();
  if (request.body.size() < kLongBody) {
    auto parsed = AdmitRun(request.body, policy->file);
    return OnParsed(c, client, std::move(request), std::move(parsed));
  }
  // What a client sends may take long to read; others do not wait for that.
  struct Asked {
    HttpRequest request;
    std::variant<AdmittedRun, run_api::ApiProblem> parsed;
  };
  const auto asked = std::make_shared<Asked>(Asked{std::move(request), run_api::ApiProblem{}});
  background_.Do(
      [asked, policy] {
        asked->parsed = AdmitRun(asked->request.body, policy->file);
        std::string().swap(asked->request.body);
      },
      // The policy is let go of here, by the loop: it holds a broker.
      [this, asked, policy, connection = c.shared_from_this()] {
        const auto found = connections_.find(connection.get());
        if (found == connections_.end() || connection->closed()) return;
        OnParsed(*connection, found->second.second, std::move(asked->request),
                 std::move(asked->parsed));
      });
}

void Api::OnParsed(HttpConnection& c, Client& client, HttpRequest request,
                   std::variant<AdmittedRun, run_api::ApiProblem> parsed) {
  std::vector<UniqueFd>& fds = request.fds;
  if (const auto* problem = std::get_if<run_api::ApiProblem>(&parsed))
    return AnswerProblem(c, *problem);
  auto& run = std::get<AdmittedRun>(parsed);
  if (request.lost_fds)
    return AnswerProblem(
        c, {400, "bad_request",
            fmt::format(
                "a request has at most {} descriptors, as far as the server can have more of them",
                kMaxFds)});
  if (run.mounts.size() != fds.size())
    return AnswerProblem(c, {400, "bad_request",
                             fmt::format("mounts names {} directories, and {} descriptors came "
                                         "with the request (over a Unix socket)",
                                         run.mounts.size(), fds.size())});
  // The files broker reads with this server's rights, not with those of who opened them.
  if (!fds.empty() && client.uid != ::geteuid())
    return AnswerProblem(
        c, {403, "not_your_server", "directories are taken from the server's own user only"});
  if (!runs_.HasRoomForMounts(fds.size()))
    return AnswerProblem(
        c, {503, "too_much_at_once", "the server holds as many directories as it may; try again"},
        {{"Retry-After", "1"}});
  std::vector<supervisor::OpenMount> mounts;
  for (size_t i = 0; i < fds.size(); ++i) {
    struct stat st {};
    if (::fstat(fds[i].get(), &st) != 0 || !S_ISDIR(st.st_mode))
      return AnswerProblem(c, {400, "bad_request", "a descriptor that came is no directory's"});
    mounts.push_back({run.mounts[i].guest, std::move(fds[i]), run.mounts[i].writable});
  }
  if (const auto trace = request.Field("traceparent"); policy::IsTraceParent(trace))
    run.policy.network.trace = trace;
  const bool wait = run.wait;
  const bool console = run.console_events;
  const bool stream = wait && request.Field("accept").starts_with(kEvents);
  const auto connection = c.shared_from_this();
  const auto record = runs_.Submit(client.caller, std::move(run), std::move(mounts), !wait,
                                   [&](RunService::RunRecord& r) {
                                     if (stream) Stream(connection, r, console);
                                     if (wait && !stream) AnswerWhenEnded(connection, r);
                                   });
  if (!record)
    return AnswerProblem(
        c, {429, "too_many_runs", "the server is busy, and as many runs wait as may wait"},
        {{"Retry-After", "1"}});
  if (!wait)
    return c.RespondShared(202, kJson, RunText(*record),
                           {{"Location", fmt::format("/v1/runs/{}", record->id)}});
  if (stream) {
    c.Start(200, {{"Content-Type", kEvents}, {"Cache-Control", "no-store"}}, true);
    c.SetFiller(":\n\n");
    c.Write(Event("run", Dump({{"id", record->id}, {"state", StateText(record->state)}})));
  }
  client.answering = record;
}

void Api::AnswerWhenEnded(const std::shared_ptr<HttpConnection>& connection,
                          RunService::RunRecord& record) {
  record.ended = [this, connection](const RunService::RunRecord& r) {
    if (const auto found = connections_.find(connection.get()); found != connections_.end())
      found->second.second.answering = nullptr;
    if (r.turned_away) return AnswerProblem(*connection, *r.turned_away, {{"Retry-After", "1"}});
    connection->RespondShared(200, kJson, {r.outcome, Shared("\n")}, {{"Postern-Run", r.id}});
  };
}

void Api::Stream(const std::shared_ptr<HttpConnection>& connection, RunService::RunRecord& record,
                 bool console) {
  record.started = [connection] { connection->Write(Event("started", "{}")); };
  const auto sink = [connection](const char* name) {
    return [connection, name](std::string_view piece, std::function<void(bool)> next) {
      std::string event = Event(name, OutputData(piece));
      // A client that takes nothing stops the guest's output, not only its own.
      if (connection->unwritten() < kMaxUnwritten) {
        connection->Write(std::move(event));
        return next(true);
      }
      connection->Write(std::move(event), [next = std::move(next)] { next(true); });
    };
  };
  if (console) {
    record.out = sink("stdout");
    record.err = sink("stderr");
  }
  record.wants_input = [connection] { connection->Write(Event("stdin", "{}")); };
  // Of these a client that reads nothing loses some, and is told how many.
  record.network = [connection, lost = int64_t{0}](const std::string& line, int64_t more) mutable {
    lost += more;
    if (connection->unwritten() >= kMaxUnwritten) {
      ++lost;
      return;
    }
    if (lost > 0) connection->Write(Event("lost", Dump({{"network", std::exchange(lost, 0)}})));
    connection->Write(Event("network", line));
  };
  record.ended = [this, connection](const RunService::RunRecord& r) {
    if (const auto found = connections_.find(connection.get()); found != connections_.end())
      found->second.second.answering = nullptr;
    connection->Write(std::string("event: outcome\ndata: "));
    connection->Write(r.outcome);
    connection->Write(std::string("\n\n"));
    connection->EndStream();
  };
}

}  // namespace postern::server
