#include "supervisor/broker_link.h"

#include <sys/mman.h>

#include <boost/asio/post.hpp>

#include "base/eintr.h"

namespace postern::supervisor {
namespace {

using channel::ControlType;
using namespace std::chrono_literals;

constexpr auto kPongWithin = 500ms;
constexpr auto kUsageWithin = 2s;

// `bytes` in a file without a name: a policy may be larger than a message.
Result<UniqueFd> InMemory(const std::string& bytes) {
  UniqueFd fd(::memfd_create("postern-policy", MFD_CLOEXEC));
  if (!fd.valid()) return SystemError("cannot make a file in memory");
  for (size_t at = 0; at < bytes.size();) {
    // By its offset: the reader begins at the descriptor's own, which stays at 0.
    const ssize_t n = Uninterrupted([&] {
      return ::pwrite(fd.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    });
    if (n < 0) return SystemError("cannot write a file in memory");
    at += static_cast<size_t>(n);
  }
  return fd;
}

}  // namespace

Status BrokerLink::Start() {
  if (child_) return Ok{};
  bound_.clear();
  auto child = Child::Start(
      io_, program_,
      {[this](const channel::ControlMessage& m) { OnMessage(m); }, [this] { OnGone(); }});
  if (!child) return child.error();
  child_ = *std::move(child);
  ++generation_;
  return Ok{};
}

Status BrokerLink::Bind(UniqueFd in, UniqueFd out) {
  const bool had_one = child_ && !bound_.empty();
  if (Status s = Start(); !s) return s;
  waiting_ = {std::move(in), std::move(out)};
  if (!had_one) {
    SendBind();
    return Ok{};
  }
  // The guest gave up on its last channel: its broker may be stopped or stuck.
  if (!child_->Send({.type = ControlType::kPing})) Replace();
  patience_.expires_after(kPongWithin);
  patience_.async_wait([this](const boost::system::error_code& error) {
    if (!error && waiting_.first.valid()) Replace();
  });
  return Ok{};
}

void BrokerLink::SendBind() {
  if (!waiting_.first.valid() || !child_) return;
  // One channel a guest: a second one at the same time would double its limits.
  for (const uint64_t old : bound_) {
    if (!child_->Send({.type = ControlType::kDropGuest, .id = old})) break;  // OnGone follows
  }
  const uint64_t id = next_id_++;
  bound_.push_back(id);
  const auto policy = InMemory(payload_);
  const Status sent =
      policy ? child_->Send({.type = ControlType::kBind, .id = id, .payload = run_},
                            {waiting_.first.get(), waiting_.second.get(), policy->get()})
             : Status(policy.error());
  waiting_ = {};
  if (!sent && failed) failed(sent.error().message, false);
}

void BrokerLink::Replace() {
  child_.reset();
  if (const Status s = Start(); !s) {
    if (failed) failed(s.error().message, false);
    return;
  }
  SendBind();
}

void BrokerLink::OnMessage(const channel::ControlMessage& m) {
  switch (m.type) {
    case ControlType::kReady:
      layers_ = nlohmann::json::parse(m.payload, nullptr, false);
      return;
    case ControlType::kFailed:
      if (failed) failed(m.payload, m.a == 1);
      return;
    case ControlType::kPong:
      patience_.cancel();
      SendBind();
      return;
    case ControlType::kEnded:
      usages_.push_back(nlohmann::json::parse(m.payload, nullptr, false));
      std::erase(bound_, m.id);
      if (finished_ && bound_.empty()) boost::asio::post(io_, std::exchange(finished_, nullptr));
      return;
    default:
      return;
  }
}

void BrokerLink::OnGone() {
  // Later: this is called from the child's own callback. By then it may be replaced already.
  boost::asio::post(io_, [this, gone = generation_] {
    if (gone != generation_) return;
    child_.reset();
    bound_.clear();
    if (waiting_.first.valid()) Replace();
    if (finished_) std::exchange(finished_, nullptr)();
  });
}

void BrokerLink::Finish(std::function<void()> done) {
  if (!child_ || bound_.empty()) {
    boost::asio::post(io_, std::move(done));
    return;
  }
  finished_ = std::move(done);
  for (const uint64_t id : bound_) {
    if (!child_->Send({.type = ControlType::kDropGuest, .id = id})) break;
  }
  patience_.expires_after(kUsageWithin);
  patience_.async_wait([this](const boost::system::error_code& error) {
    if (!error && finished_) std::exchange(finished_, nullptr)();
  });
}

}  // namespace postern::supervisor
