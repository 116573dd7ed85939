#include "broker/net_guest.h"

#include "broker/request.h"

namespace postern::broker {

NetGuest::NetGuest(NetShared& shared, policy::Policy policy, UniqueFd in, UniqueFd out,
                   std::function<void()> ended)
    : shared_(shared),
      policy_(std::move(policy)),
      decider_(policy_),
      curl_(shared.io, policy_.limits.concurrent),
      resolver_(shared.io, policy_.dns,
                policy_.dns.servers.empty() ? shared.resolv_conf_servers : policy_.dns.servers),
      timer_(shared.io),
      channel_(shared.io, static_cast<uint32_t>(policy_.limits.concurrent), *this, std::move(in),
               std::move(out), std::move(ended)) {}

NetGuest::~NetGuest() { requests_.clear(); }

void NetGuest::WakeAt(std::chrono::steady_clock::time_point deadline) {
  if (deadline >= wake_at_) return;
  wake_at_ = deadline;
  timer_.expires_at(deadline);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) CheckDeadlines();  // an error: set anew, or this guest is gone
  });
}

void NetGuest::CheckDeadlines() {
  const auto now = std::chrono::steady_clock::now();
  if (now < wake_at_) return;  // set anew while this was on its way
  wake_at_ = std::chrono::steady_clock::time_point::max();
  auto next = wake_at_;
  for (const auto& [stream, request] : requests_)
    next = std::min(next, request->CheckDeadline(now));
  if (next != wake_at_) WakeAt(next);
}

void NetGuest::OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) {
  if (requests_.contains(stream)) return;  // request trailers: nothing is made of them
  auto& request = requests_[stream];
  request = std::make_unique<Request>(*this, stream);
  request->Start(std::move(fields), !end_stream);
}

void NetGuest::OnData(int32_t stream, std::span<const uint8_t> data) {
  if (const auto r = requests_.find(stream); r != requests_.end()) {
    r->second->OnUpload(data);
  } else {
    channel_.session().Consume(stream, data.size());
  }
}

void NetGuest::OnEndOfBody(int32_t stream) {
  if (const auto r = requests_.find(stream); r != requests_.end()) r->second->OnUploadEnd();
}

void NetGuest::OnClosed(int32_t stream, uint32_t /*error*/) { requests_.erase(stream); }

size_t NetGuest::ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                          channel::Fields* trailers) {
  const auto r = requests_.find(stream);
  if (r == requests_.end()) {
    *end = true;
    return 0;
  }
  return r->second->ReadBody(out, end, trailers);
}

}  // namespace postern::broker
