#include "loop/owner.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <optional>

namespace postern::loop {
namespace {

struct Object {
  Owner owner;
  int calls = 0;
};

TEST(Owner, ItsHandlersAreCalledWhileItIsThere) {
  std::optional<Object> object(std::in_place);
  Object* const at = &*object;
  const std::function<void(int)> handler = at->owner.WhileHere([at](int n) { at->calls += n; });
  handler(2);
  handler(3);
  EXPECT_EQ(object->calls, 5);
  object.reset();
  handler(4);  // with a sanitizer: touches nothing
}

TEST(Owner, AsiosHandlersFindItGone) {
  boost::asio::io_context io;
  int called = 0;
  {
    Owner owner;
    boost::asio::post(io, owner.WhileHere([&] { ++called; }));
    auto moved = std::make_unique<int>(1);  // what cannot be copied
    boost::asio::post(io, owner.WhileHere([&, moved = std::move(moved)] { called += *moved; }));
    boost::asio::steady_timer timer(io);
    timer.async_wait(owner.WhileHere([&](const boost::system::error_code&) { ++called; }));
  }
  io.run();
  EXPECT_EQ(called, 0);
}

TEST(Owner, ACallThatDestroysItIsSeen) {
  std::optional<Object> object(std::in_place);
  const Owner::Watch watch = object->owner.watch();
  EXPECT_FALSE(watch.gone());
  object.reset();
  EXPECT_TRUE(watch.gone());
}

TEST(Owner, OneThatLeavesIsGoneBeforeItsMembersAre) {
  Owner owner;
  const Owner::Watch watch = owner.watch();
  owner.Leave();
  EXPECT_TRUE(watch.gone());
}

}  // namespace
}  // namespace postern::loop
