// NetBinding: what the network broker knows of one guest: its channel, its policy, its connections,
// its resolver and its requests. All of it ends with the channel.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/net_usage.h"
#include "broker/log/event_log.h"
#include "broker/net/own_addresses.h"
#include "broker/net/request_record.h"
#include "broker/net/resolver.h"
#include "broker/upstream/curl_exchange.h"
#include "broker/upstream/replay.h"
#include "broker/upstream/trust_store.h"
#include "loop/guest_channel.h"
#include "policy/decision.h"
#include "policy/secrets/secret_index.h"

namespace postern::broker {

class Request;

// What all guests of a network broker share. All of it outlives every guest.
struct NetShared {
  boost::asio::io_context& io;
  OwnAddresses& own_addresses;
  TrustStore& tls;
  EventLog* log = nullptr;         // where events are wanted
  bool record = false;             // HAR entries as well
  const Replay* replay = nullptr;  // what the replay adapter answers from
};

class NetBinding : public channel::Http2Session::Observer, public RecordSink {
 public:
  // `run` names the run in logs. `ended` is called once when the channel is over. `events` gets
  // each event as a line of JSON; empty where nobody listens.
  NetBinding(NetShared& shared, policy::Policy policy, std::string run, UniqueFd in, UniqueFd out,
             std::function<void()> ended, std::function<void(const std::string&)> events);
  ~NetBinding() override;

  const policy::Policy& policy() const { return policy_; }
  const policy::Decider& decider() const { return decider_; }
  NetShared& shared() { return shared_; }
  Upstream& upstream() { return upstream_; }
  Resolver& resolver() { return resolver_; }
  loop::GuestChannel& channel() { return channel_; }
  NetUsage& usage() { return usage_; }
  // Whether there is more of it than at the last call.
  bool UsageChanged() { return reported_ != usage_ && (reported_ = usage_, true); }
  const std::string& run() const { return run_; }
  // Whether anybody wants to know what becomes of requests; and telling them.
  bool WantsEvents() const { return shared_.log != nullptr || events_ != nullptr; }
  void WriteEvent(const std::string& line) override;
  // Where the log takes entries (NetShared::record).
  bool ReserveRecording(size_t bytes) override { return shared_.log->ReserveRecording(bytes); }
  void ReleaseRecording(size_t bytes) override { shared_.log->ReleaseRecording(bytes); }
  void WriteEntry(har::HarEntry entry) override { shared_.log->WriteEntry(std::move(entry)); }
  Replay::Cursor& replay_cursor() { return replay_cursor_; }
  // Takes one request's token from the bucket of `rate`; else says in how many milliseconds there
  // is one again.
  std::optional<int64_t> TakeToken();
  // All secrets that may come back from `host`; null where none ever goes there.
  std::shared_ptr<const policy::SecretIndex> SecretsOf(const std::string& host);
  // Ends what still runs, as when the channel is over.
  void EndRequests();
  // Sees to it that every request's CheckDeadline is called at `deadline` or soon after. One timer
  // for all of a guest's requests: it mostly stands earlier than what a new deadline asks for
  // already.
  void WakeAt(std::chrono::steady_clock::time_point deadline);

  void OnHeaders(int32_t stream, channel::Fields fields, bool end_stream) override;
  void OnData(int32_t stream, std::span<const uint8_t> data) override;
  void OnEndOfBody(int32_t stream) override;
  void OnClosed(int32_t stream, uint32_t error) override;
  size_t ReadBody(int32_t stream, std::span<uint8_t> out, bool* end,
                  channel::Fields* trailers) override;

 private:
  void CheckDeadlines();
  void StartTls(int32_t stream, const channel::Fields& fields);

  NetShared& shared_;
  const policy::Policy policy_;
  const policy::Decider decider_;
  const std::string run_;
  const std::function<void(const std::string&)> events_;
  Replay::Cursor replay_cursor_;
  std::shared_ptr<const policy::SecretIndex> secrets_;  // made when first asked for
  std::set<std::string> secret_hosts_;
  double tokens_ = 0;
  std::chrono::steady_clock::time_point tokens_at_;
  NetUsage usage_;
  NetUsage reported_;  // of it, to the supervisor
  CurlUpstream upstream_;
  Resolver resolver_;
  std::map<int32_t, std::unique_ptr<Request>> requests_;
  boost::asio::steady_timer timer_;
  std::chrono::steady_clock::time_point wake_at_ = std::chrono::steady_clock::time_point::max();
  loop::GuestChannel channel_;
};

}  // namespace postern::broker
