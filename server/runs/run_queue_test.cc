#include "server/runs/run_queue.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern::server {
namespace {

using namespace std::chrono_literals;

struct Queue {
  boost::asio::io_context io;
  RunQueue queue;
  std::vector<uint64_t> started, late, displaced;

  explicit Queue(const RunQueue::Options& options) : queue(io, options) {}
  bool Enter(const std::string& caller, uint64_t id) {
    return queue.Enter(caller, id,
                       {[this, id] { started.push_back(id); }, [this, id] { late.push_back(id); },
                        [this, id] { displaced.push_back(id); }});
  }
};

using Ids = std::vector<uint64_t>;

TEST(RunQueue, StartsAtOnceWhileThereArePlaces) {
  Queue q({.places = 2, .waiting = 1});
  EXPECT_TRUE(q.Enter("a", 1) && q.Enter("a", 2) && q.Enter("a", 3));
  EXPECT_EQ(q.started, (Ids{1, 2}));
  EXPECT_FALSE(q.Enter("b", 4));  // one waits already
  q.queue.Leave();
  EXPECT_EQ(q.started, (Ids{1, 2, 3}));
  EXPECT_EQ(q.queue.running(), 2U);
  EXPECT_EQ(q.queue.waiting(), 0U);
}

TEST(RunQueue, CallersHaveTheirTurns) {
  Queue q({.places = 1, .waiting = 100});
  for (uint64_t i = 1; i <= 4; ++i) EXPECT_TRUE(q.Enter("a", i));
  EXPECT_TRUE(q.Enter("b", 11) && q.Enter("c", 21) && q.Enter("b", 12));
  for (int i = 0; i < 6; ++i) q.queue.Leave();
  EXPECT_EQ(q.started, (Ids{1, 2, 11, 21, 3, 12, 4}));
}

TEST(RunQueue, WhoFillsItMakesRoomForOthers) {
  Queue q({.places = 1, .waiting = 4});
  for (uint64_t i = 1; i <= 5; ++i) EXPECT_TRUE(q.Enter("a", i));
  EXPECT_FALSE(q.Enter("a", 6));
  EXPECT_TRUE(q.Enter("b", 11));
  EXPECT_EQ(q.displaced, (Ids{5}));  // the newest
  EXPECT_TRUE(q.Enter("b", 12));
  EXPECT_EQ(q.displaced, (Ids{5, 4}));
  // Two each: nobody displaces anybody; a third caller does.
  EXPECT_FALSE(q.Enter("a", 7) || q.Enter("b", 13));
  EXPECT_TRUE(q.Enter("c", 21));
  EXPECT_EQ(q.displaced.size(), 3U);
  EXPECT_EQ(q.queue.waiting(), 4U);
  EXPECT_FALSE(q.queue.Withdraw(5) || q.queue.Withdraw(4));
  for (int i = 0; i < 4; ++i) q.queue.Leave();
  EXPECT_EQ(q.started.size(), 5U);
  EXPECT_TRUE(q.late.empty());
}

TEST(RunQueue, WhoWaitsTooLongIsTold) {
  Queue q({.places = 1, .waiting = 2, .patience = 1ms});
  EXPECT_TRUE(q.Enter("a", 1) && q.Enter("a", 2));
  q.io.run();
  EXPECT_EQ(q.late, (Ids{2}));
  q.queue.Leave();
  EXPECT_EQ(q.started, (Ids{1}));
  EXPECT_EQ(q.queue.running(), 0U);
}

TEST(RunQueue, WhoLeavesIsForgotten) {
  Queue q({.places = 1, .waiting = 2});
  EXPECT_TRUE(q.Enter("a", 1) && q.Enter("a", 2));
  EXPECT_TRUE(q.queue.Withdraw(2));
  EXPECT_FALSE(q.queue.Withdraw(2));
  EXPECT_FALSE(q.queue.Withdraw(1));  // it runs
  q.queue.Leave();
  EXPECT_EQ(q.started, (Ids{1}));
}

}  // namespace
}  // namespace postern::server
