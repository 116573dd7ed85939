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
  bool Enqueue(const std::string& caller, uint64_t id) {
    return queue.Enqueue(caller, id,
                         {[this, id] { started.push_back(id); }, [this, id] { late.push_back(id); },
                          [this, id] { displaced.push_back(id); }});
  }
};

using Ids = std::vector<uint64_t>;

TEST(RunQueue, StartsAtOnceWhileThereArePlaces) {
  Queue q({.places = 2, .waiting = 1});
  EXPECT_TRUE(q.Enqueue("a", 1) && q.Enqueue("a", 2) && q.Enqueue("a", 3));
  EXPECT_EQ(q.started, (Ids{1, 2}));
  EXPECT_FALSE(q.Enqueue("b", 4));  // one waits already
  q.queue.Release();
  EXPECT_EQ(q.started, (Ids{1, 2, 3}));
  EXPECT_EQ(q.queue.running(), 2U);
  EXPECT_EQ(q.queue.waiting(), 0U);
}

TEST(RunQueue, CallersHaveTheirTurns) {
  Queue q({.places = 1, .waiting = 100});
  for (uint64_t i = 1; i <= 4; ++i) EXPECT_TRUE(q.Enqueue("a", i));
  EXPECT_TRUE(q.Enqueue("b", 11) && q.Enqueue("c", 21) && q.Enqueue("b", 12));
  for (int i = 0; i < 6; ++i) q.queue.Release();
  EXPECT_EQ(q.started, (Ids{1, 2, 11, 21, 3, 12, 4}));
}

TEST(RunQueue, WhoFillsItMakesRoomForOthers) {
  Queue q({.places = 1, .waiting = 4});
  for (uint64_t i = 1; i <= 5; ++i) EXPECT_TRUE(q.Enqueue("a", i));
  EXPECT_FALSE(q.Enqueue("a", 6));
  EXPECT_TRUE(q.Enqueue("b", 11));
  EXPECT_EQ(q.displaced, (Ids{5}));  // the newest
  EXPECT_TRUE(q.Enqueue("b", 12));
  EXPECT_EQ(q.displaced, (Ids{5, 4}));
  // Two each: nobody displaces anybody; a third caller does.
  EXPECT_FALSE(q.Enqueue("a", 7) || q.Enqueue("b", 13));
  EXPECT_TRUE(q.Enqueue("c", 21));
  EXPECT_EQ(q.displaced.size(), 3U);
  EXPECT_EQ(q.queue.waiting(), 4U);
  EXPECT_FALSE(q.queue.Cancel(5) || q.queue.Cancel(4));
  for (int i = 0; i < 4; ++i) q.queue.Release();
  EXPECT_EQ(q.started.size(), 5U);
  EXPECT_TRUE(q.late.empty());
}

TEST(RunQueue, WhoWaitsTooLongIsTold) {
  Queue q({.places = 1, .waiting = 2, .patience = 1ms});
  EXPECT_TRUE(q.Enqueue("a", 1) && q.Enqueue("a", 2));
  q.io.run();
  EXPECT_EQ(q.late, (Ids{2}));
  q.queue.Release();
  EXPECT_EQ(q.started, (Ids{1}));
  EXPECT_EQ(q.queue.running(), 0U);
}

TEST(RunQueue, WhoLeavesIsForgotten) {
  Queue q({.places = 1, .waiting = 2});
  EXPECT_TRUE(q.Enqueue("a", 1) && q.Enqueue("a", 2));
  EXPECT_TRUE(q.queue.Cancel(2));
  EXPECT_FALSE(q.queue.Cancel(2));
  EXPECT_FALSE(q.queue.Cancel(1));  // it runs
  q.queue.Release();
  EXPECT_EQ(q.started, (Ids{1}));
}

}  // namespace
}  // namespace postern::server
