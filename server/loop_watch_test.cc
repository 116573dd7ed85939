#include "server/loop_watch.h"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <vector>

namespace postern::server {
namespace {

using std::chrono::milliseconds;

void WorkFor(milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

TEST(LoopWatch, TellsOfATurnThatTookLongAndOfNoOther) {
  boost::asio::io_context io;
  std::vector<LoopWatch::Duration> told;
  const auto run = [&] {
    io.restart();
    LoopWatch([&](LoopWatch::Duration took, LoopWatch::Duration cpu) {
      told.push_back(took);
      EXPECT_GT(cpu, milliseconds(0));
    }).Run(io);
  };
  for (int i = 0; i < 1000; ++i) boost::asio::post(io, [] {});
  run();
  const size_t others = told.size();  // that the machine held up
  boost::asio::post(io, [] { WorkFor(LoopWatch::kStall * 2); });
  run();
  ASSERT_GE(told.size(), others + 1);
  EXPECT_GE(told.back(), LoopWatch::kStall);
  EXPECT_LE(others, 2u);
}

TEST(LoopWatch, WaitingIsNoStallAndWorkAfterItIs) {
  boost::asio::io_context io;
  int told = 0;
  boost::asio::steady_timer timer(io, LoopWatch::kStall * 2);
  timer.async_wait([](const boost::system::error_code&) {});
  LoopWatch watch([&](LoopWatch::Duration, LoopWatch::Duration) { ++told; });
  watch.Run(io);
  EXPECT_EQ(told, 0);
  io.restart();
  timer.expires_after(milliseconds(5));
  timer.async_wait([](const boost::system::error_code&) { WorkFor(LoopWatch::kStall * 3); });
  watch.Run(io);
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace postern::server
