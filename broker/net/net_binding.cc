#include "broker/net/net_binding.h"

#include <algorithm>
#include <charconv>

#include "broker/net/request.h"
#include "channel/postern_fields.h"

namespace postern::broker {

NetBinding::NetBinding(NetShared& shared, policy::Policy policy, std::string run, UniqueFd in,
                       UniqueFd out, std::function<void()> ended,
                       std::function<void(const std::string&)> events)
    : shared_(shared),
      policy_(std::move(policy)),
      decider_(policy_),
      run_(std::move(run)),
      events_(std::move(events)),
      tokens_(static_cast<double>(policy_.limits.rate)),
      tokens_at_(std::chrono::steady_clock::now()),
      upstream_(shared.io, shared.tls, policy_.limits.concurrent),
      resolver_(shared.io, policy_.dns, policy_.dns.servers),
      timer_(shared.io),
      channel_(shared.io, channel::Http2Session::Role::kBrokerServer,
               static_cast<uint32_t>(policy_.limits.concurrent), *this, std::move(in),
               std::move(out), std::move(ended)) {
  for (const policy::Rule& rule : policy_.rules) {
    if (!rule.SecretNames().empty()) secret_hosts_.insert(rule.target.host);
  }
}

void NetBinding::WriteEvent(const std::string& line) {
  if (shared_.log != nullptr) shared_.log->Write(line);
  if (events_) events_(line);
}

NetBinding::~NetBinding() { EndRequests(); }

void NetBinding::EndRequests() { requests_.clear(); }

std::shared_ptr<const policy::SecretIndex> NetBinding::SecretsOf(const std::string& host) {
  if (!secret_hosts_.contains(host)) return nullptr;
  if (secrets_ == nullptr) {
    secrets_ = std::make_shared<const policy::SecretIndex>(policy_.secrets);
  }
  return secrets_;
}

std::optional<int64_t> NetBinding::TakeToken() {
  const policy::NetworkLimits& l = policy_.limits;
  if (l.rate == 0) return std::nullopt;
  const auto now = std::chrono::steady_clock::now();
  const double a_ms = static_cast<double>(l.rate) / static_cast<double>(l.rate_period);
  const double passed = std::chrono::duration<double, std::milli>(now - tokens_at_).count();
  tokens_ = std::min(tokens_ + passed * a_ms, static_cast<double>(l.rate));
  tokens_at_ = now;
  if (tokens_ < 1) return static_cast<int64_t>((1 - tokens_) / a_ms) + 1;
  tokens_ -= 1;
  return std::nullopt;
}

void NetBinding::WakeAt(std::chrono::steady_clock::time_point deadline) {
  if (deadline >= wake_at_) return;
  wake_at_ = deadline;
  timer_.expires_at(deadline);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) CheckDeadlines();  // an error: set anew, or this guest is gone
  });
}

void NetBinding::CheckDeadlines() {
  const auto now = std::chrono::steady_clock::now();
  if (now < wake_at_) return;  // set anew while this was on its way
  wake_at_ = std::chrono::steady_clock::time_point::max();
  auto next = wake_at_;
  for (const auto& [stream, request] : requests_)
    next = std::min(next, request->CheckDeadline(now));
  if (next != wake_at_) WakeAt(next);
}

void NetBinding::OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) {
  if (requests_.contains(stream)) return;  // request trailers: nothing is made of them
  if (const std::string* p = FindField(fields, ":protocol"); p && *p == channel::kStartTls) {
    return StartTls(stream, fields);
  }
  auto& request = requests_[stream];
  request = std::make_unique<Request>(*this, stream);
  request->Start(std::move(fields), !end_stream);
}

// The guest asks for TLS on one of its TCP streams, by a stream of its own: ":path" is "/ID".
void NetBinding::StartTls(int32_t stream, const channel::Fields& fields) {
  const std::string* path = FindField(fields, ":path");
  const std::string* host = FindField(fields, channel::kTlsHost);
  int32_t id = 0;
  if (path != nullptr && path->size() > 1) {
    std::from_chars(path->data() + 1, path->data() + path->size(), id);
  }
  const auto answer = [this, stream](const std::optional<channel::Failure>& failure) {
    const channel::Fields response =
        failure ? channel::FailureResponse(*failure) : channel::Fields{{":status", "200"}};
    if (!channel_.session().Respond(stream, response, false)) {
      channel_.session().Reset(stream, NGHTTP2_INTERNAL_ERROR);
    }
    channel_.FlushSoon();
  };
  const auto r = requests_.find(id);
  if (r == requests_.end()) {
    return answer(channel::Failure{channel::kErrSocketState, "there is no such stream (any more)"});
  }
  r->second->StartTls(host == nullptr ? std::string() : *host, answer);
}

void NetBinding::OnData(int32_t stream, std::span<const uint8_t> data) {
  if (const auto r = requests_.find(stream); r != requests_.end()) {
    r->second->OnUpload(data);
  } else {
    channel_.session().Consume(stream, data.size());
  }
}

void NetBinding::OnEndOfBody(int32_t stream) {
  if (const auto r = requests_.find(stream); r != requests_.end()) r->second->OnUploadEnd();
}

void NetBinding::OnClosed(int32_t stream, uint32_t /*error*/) { requests_.erase(stream); }

size_t NetBinding::ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                            channel::Fields* trailers) {
  const auto r = requests_.find(stream);
  if (r == requests_.end()) {
    *end = true;
    return 0;
  }
  return r->second->ReadBody(out, end, trailers);
}

}  // namespace postern::broker
