#include "channel/control_outbox.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <map>

#include "base/by_type.h"
#include "channel/endpoint.h"
#include "loop/control_loop.h"

namespace postern::channel {
namespace {

using loop::ControlLoop;

struct Pair {
  Pair() {
    auto made = MakeControlPair();
    EXPECT_TRUE(made);
    from = std::move(made->first);
    to = std::move(made->second);
    EXPECT_TRUE(SetNonBlocking(from.get()));
    EXPECT_TRUE(SetNonBlocking(to.get()));
  }
  UniqueFd from, to;
};

// The number of what was received, which the tests count by.
uint64_t NumberOf(const ControlMessage& message) {
  return std::visit(
      ByType{[](const Pong& m) { return m.number; }, [](const SpareMade& m) { return m.spare; },
             [](const SpareExited& m) { return m.spare; },
             [](const ChannelClosed& m) { return m.guest; },
             [](const auto&) {
               ADD_FAILURE() << "a message that was not sent";
               return uint64_t{0};
             }},
      message);
}

TEST(ControlOutbox, WhatAFullSocketDoesNotTakeComesLaterAndInOrder) {
  Pair pair;
  ControlOutbox outbox(pair.from.get());
  constexpr uint64_t kMany = 5'000;
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe);
  for (uint64_t id = 1; id <= kMany; ++id)
    ASSERT_TRUE(outbox.Send(
        SpareMade{id}, id % 100 == 0 ? std::vector<int>{pipe->read.get()} : std::vector<int>{}))
        << id;
  ASSERT_FALSE(outbox.empty());
  pipe->read.reset();  // those that wait have their own
  for (uint64_t id = 1; id <= kMany; ++id) {
    auto m = ReceiveControl(pair.to.get());
    if (!m && m.error().errnum == EAGAIN) {
      ASSERT_TRUE(outbox.Flush());
      m = ReceiveControl(pair.to.get());
    }
    ASSERT_TRUE(m && *m) << id;
    EXPECT_EQ(NumberOf((*m)->message), id);
    EXPECT_EQ((*m)->fds.size(), id % 100 == 0 ? 1u : 0u);
  }
  EXPECT_TRUE(outbox.empty());
}

TEST(ControlOutbox, UsageOfOneGuestIsJoined) {
  Pair pair;
  ControlOutbox outbox(pair.from.get());
  for (uint64_t i = 0; i < 200'000; ++i)
    ASSERT_TRUE(outbox.Send(UsageReport{i % 3, {.requests = i}}));
  std::map<uint64_t, uint64_t> last;
  for (;;) {
    ASSERT_TRUE(outbox.Flush());
    auto m = ReceiveControl(pair.to.get());
    if (!m) break;
    const auto& report = std::get<UsageReport>((*m)->message);
    last[report.guest] = report.usage.requests;
  }
  EXPECT_TRUE(outbox.empty());
  EXPECT_EQ(last[0], 199'998u);
  EXPECT_EQ(last[1], 199'999u);
  EXPECT_EQ(last[2], 199'997u);
}

TEST(ControlOutbox, WhoIsGoneOrTakesNothingForEverIsAnError) {
  Pair pair;
  ControlOutbox outbox(pair.from.get());
  const std::string payload(64 * 1024, 'x');
  size_t taken = 0;
  while (taken < 10'000 && outbox.Send(EventLines{.lines = payload})) ++taken;
  EXPECT_GE(taken * payload.size(), ControlOutbox::kMaxBytes - payload.size());
  EXPECT_LT(taken, 10'000u);
  pair.to.reset();
  EXPECT_FALSE(outbox.Flush());
}

// A supervisor that is busy for a while: the broker serves all the others meanwhile.
TEST(ControlLoop, AFullSocketStopsNoBroker) {
  Pair pair;
  boost::asio::io_context io;
  ControlLoop loop(io, pair.from.get(), [](const ReceivedControl&) {});
  constexpr uint64_t kMany = 3'000;
  for (uint64_t id = 1; id <= kMany; ++id) loop.Send(ChannelClosed{id, {}});
  EXPECT_FALSE(io.stopped());
  uint64_t seen = 0;
  while (seen < kMany) {
    io.poll();
    ASSERT_FALSE(io.stopped());
    auto m = ReceiveControl(pair.to.get());
    if (!m) continue;
    ASSERT_TRUE(*m);
    EXPECT_EQ(NumberOf((*m)->message), ++seen);
  }
  // Pings are answered, and the end of the supervisor is the broker's.
  ASSERT_TRUE(SendControl(pair.to.get(), Ping{5}));
  io.poll();
  const auto pong = ReceiveControl(pair.to.get());
  ASSERT_TRUE(pong && *pong);
  EXPECT_EQ((*pong)->message, ControlMessage(Pong{5}));
  pair.to.reset();
  io.run();
  EXPECT_TRUE(io.stopped());
}

TEST(Control, AMessageWhoseDescriptorsFindNoRoomIsOneAllTheSame) {
  Pair pair;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const std::vector<int> fds(10, pair.from.get());
  ASSERT_TRUE(SendControl(pair.from.get(), SpareMade{7}, fds));
  ASSERT_TRUE(SendControl(pair.from.get(), SpareExited{8, {}}));
  const UniqueFd lowest(::dup(0));
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(lowest.get()) + 3;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto m = ReceiveControl(pair.to.get());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(m && *m);
  EXPECT_EQ(NumberOf((*m)->message), 7u);
  EXPECT_TRUE((*m)->lost_fds);
  EXPECT_TRUE((*m)->fds.empty());
  const auto next = ReceiveControl(pair.to.get());
  ASSERT_TRUE(next && *next);
  EXPECT_EQ(NumberOf((*next)->message), 8u);
  EXPECT_FALSE((*next)->lost_fds);
}

}  // namespace
}  // namespace postern::channel
