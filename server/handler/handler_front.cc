#include "server/handler/handler_front.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>

#include "base/format.h"
#include "base/text.h"
#include "channel/connection_fields.h"
#include "channel/failure.h"
#include "channel/postern_fields.h"
#include "policy/rules/url.h"

namespace postern::server {
namespace {

using channel::Field;
using channel::Fields;

// Of a request's body that its guest has not taken yet; then the client waits.
constexpr size_t kMaxUnsent = 64 * 1024;
constexpr int kClientGone = 499;  // in metrics: nobody waits for the answer any more
constexpr char kPlain[] = "text/plain;charset=utf-8";

// What belongs to the client's connection, or is Postern's own.
bool MayPass(const std::string& name) {
  return name[0] != ':' && !channel::IsConnectionField(name) && name != "expect" &&
         name != "host" && name != "http2-settings" && name != channel::kRemote;
}

// Drops the fields whose names Connection fields declare to be of the connection.
void DropConnectionFields(Fields& fields) {
  std::set<std::string> names;
  for (const Field& f : fields) {
    if (f.name != "connection") continue;
    for (size_t at = 0; at < f.value.size();) {
      const size_t comma = std::min(f.value.find(',', at), f.value.size());
      std::string name = AsciiLower(std::string_view(f.value).substr(at, comma - at));
      std::erase_if(name, [](char c) { return c == ' ' || c == '\t'; });
      names.insert(std::move(name));
      at = comma + 1;
    }
  }
  if (!names.empty()) std::erase_if(fields, [&](const Field& f) { return names.contains(f.name); });
}

}  // namespace

// A connection's requests, one after the other.
class HandlerFront::Exchange : public HandlerClient {
 public:
  Exchange(HandlerPool& pool, std::shared_ptr<HttpConnection> connection)
      : pool_(pool),
        kept_(std::move(connection)),
        connection_(*kept_),
        remote_(connection_.PeerAddress()) {}
  ~Exchange() override { Cancel(); }

  void OnRequest(HttpRequest head) {
    upload_.clear();
    upload_at_ = 0;
    upload_ended_ = !head.has_body;
    started_ = false;
    began_at_ = std::chrono::steady_clock::now();
    status_ = 0;
    const std::string problem = Prepare(head);
    if (!problem.empty())
      return connection_.Respond(problem == kNotImplemented ? 501 : 400, kPlain,
                                 fmt::format("{}\n", problem));
    auto request = std::make_shared<HandlerRequest>();
    request->fields = std::move(fields_);
    request->has_body = head.has_body;
    request->client = this;
    request_ = request;
    pool_.Send(request);
  }
  void OnRequestBody(std::string_view bytes) {
    if (upload_at_ > 0 && upload_at_ == upload_.size()) {
      upload_.clear();
      upload_at_ = 0;
    }
    upload_.append(bytes);
    if (upload_.size() - upload_at_ > kMaxUnsent) connection_.Pause();
    Resume();
  }
  void OnRequestEnd() {
    upload_ended_ = true;
    Resume();
  }
  // With no answer of its guest's.
  void Cancel(int status = kClientGone) {
    const auto request = std::exchange(request_, nullptr);
    if (!request) return;
    pool_.Cancel(request);
    if (!started_) status_ = status;
    Count();
  }

  // HandlerClient
  void OnHead(int status, Fields fields, bool has_body) override {
    started_ = true;
    status_ = status;
    bool length = false;
    for (const Field& f : fields) length = length || f.name == "content-length";
    if (status == 204 || status == 304) {
      std::erase_if(fields, [](const Field& f) { return f.name == "content-length"; });
    } else if (!has_body && !length) {
      fields.push_back({"content-length", "0"});
    }
    connection_.Start(status, fields, has_body);
  }
  void OnBody(std::span<const uint8_t> bytes) override {
    connection_.Write(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
                      [request = request_, n = bytes.size()] {
                        if (request && request->guest) request->guest->Consumed(request, n);
                      });
  }
  void OnEnd() override {
    request_ = nullptr;
    Count();
    connection_.EndStream();
  }
  void OnFailure(const HandlerFailure& failure) override {
    request_ = nullptr;
    if (!started_) status_ = failure.status;
    Count();
    if (failure.status == 502)
      pool_.LogBadResponse((started_ ? "a response broke off: " : "a request failed (502): ") +
                           failure.detail);
    if (started_) return connection_.Abort();
    std::vector<std::pair<std::string, std::string>> fields = {
        {"Proxy-Status",
         channel::FormatProxyStatus({failure.error, "ERR_HANDLER", failure.detail})}};
    if (failure.status == 503) fields.emplace_back("Retry-After", "1");
    connection_.Respond(failure.status, kPlain, fmt::format("{}\n", failure.detail), fields);
  }
  size_t ReadBody(std::span<uint8_t> out, bool* end) override {
    const size_t n = std::min(out.size(), upload_.size() - upload_at_);
    std::memcpy(out.data(), upload_.data() + upload_at_, n);
    upload_at_ += n;
    const bool empty = upload_at_ == upload_.size();
    if (empty && !upload_ended_) connection_.Resume();
    *end = empty && upload_ended_;
    return n;
  }

 private:
  static constexpr char kNotImplemented[] = "the method CONNECT is not implemented here";

  void Count() {
    pool_.metrics().RequestAnswered(status_, std::chrono::steady_clock::now() - began_at_);
  }

  void Resume() {
    if (request_ && request_->guest) request_->guest->ResumeBody(request_);
  }

  // Makes fields_; what is wrong with the request, or "".
  std::string Prepare(HttpRequest& head) {
    if (head.method == "CONNECT") return kNotImplemented;
    std::string authority(head.Field("host"));
    std::string path = head.target;
    if (const size_t scheme = path.find("://"); path[0] != '/' && scheme != std::string::npos) {
      const size_t slash = std::min(path.find('/', scheme + 3), path.size());
      authority = path.substr(scheme + 3, slash - scheme - 3);
      path = slash == path.size() ? "/" : path.substr(slash);
    }
    if (path[0] != '/') return "the request's target is neither a path nor a URL";
    if (authority.empty()) authority = "localhost";
    if (authority != host_) {
      const auto url = policy::ParseUrl(fmt::format("http://{}/", authority));
      if (!url || url->has_credentials || url->path != "/" || !url->query.empty() ||
          authority.find_first_of("/?#@\\") != std::string::npos)
        return "the request's Host is no host";
      host_ = authority;
    }
    fields_ = {{":method", std::move(head.method)},
               {":scheme", "http"},
               {":authority", authority},
               {":path", std::move(path)}};
    if (!remote_.empty()) fields_.push_back({channel::kRemote, remote_});
    DropConnectionFields(head.fields);
    for (Field& f : head.fields) {
      if (!f.name.empty() && MayPass(f.name)) fields_.push_back(std::move(f));
    }
    return {};
  }

  HandlerPool& pool_;
  const std::shared_ptr<HttpConnection> kept_;  // until it has closed
  HttpConnection& connection_;
  const std::string remote_;
  std::string host_;  // that was looked at last
  Fields fields_;
  HandlerRequestPtr request_;
  std::string upload_;
  size_t upload_at_ = 0;
  bool upload_ended_ = true, started_ = false;
  std::chrono::steady_clock::time_point began_at_;
  int status_ = 0;
};

void HandlerFront::Accept(HttpConnection::Socket socket) {
  if (connections_.size() >= max_connections_) return;  // which closes it
  const auto exchange_of = [this](HttpConnection& c) {
    const auto found = connections_.find(&c);
    return found == connections_.end() ? nullptr : found->second;
  };
  HttpConnection::Callbacks callbacks{
      .request =
          [exchange_of](HttpConnection& c, HttpRequest head) {
            if (const auto e = exchange_of(c)) e->OnRequest(std::move(head));
          },
      .body =
          [exchange_of](HttpConnection& c, std::string_view bytes) {
            if (const auto e = exchange_of(c)) e->OnRequestBody(bytes);
          },
      .body_end =
          [exchange_of](HttpConnection& c) {
            if (const auto e = exchange_of(c)) e->OnRequestEnd();
          },
      .refused =
          [exchange_of](HttpConnection& c, int status) {
            if (const auto e = exchange_of(c)) e->Cancel(status);
          },
      .closed = [this](HttpConnection& c) { connections_.erase(&c); }};
  const auto connection =
      HttpConnection::Start(io_, std::move(socket), false, limits_, std::move(callbacks), held_);
  connections_[connection.get()] = std::make_shared<Exchange>(pool_, connection);
}

void HandlerFront::Drain() {
  std::vector<std::shared_ptr<HttpConnection>> all;
  for (const auto& [c, exchange] : connections_) all.push_back(c->shared_from_this());
  for (const auto& c : all) c->Finish();
}

}  // namespace postern::server
