#include "channel/control.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

namespace postern::channel {
namespace {

TEST(Control, CarriesPayloadAndDescriptors) {
  auto pair = MakeControlPair();
  ASSERT_TRUE(pair);
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe);
  ControlMessage sent{.type = ControlType::kBind, .id = 7, .a = -1, .b = 2, .payload = "{}"};
  ASSERT_TRUE(SendControl(pair->first.get(), sent, {pipe->write.get()}));
  auto received = ReceiveControl(pair->second.get());
  ASSERT_TRUE(received && *received);
  ControlMessage& m = **received;
  EXPECT_EQ(m.type, ControlType::kBind);
  EXPECT_EQ(m.id, 7u);
  EXPECT_EQ(m.a, -1);
  EXPECT_EQ(m.payload, "{}");
  ASSERT_EQ(m.fds.size(), 1u);
  ASSERT_EQ(::write(m.fds[0].get(), "x", 1), 1);
  char c = 0;
  ASSERT_EQ(::read(pipe->read.get(), &c, 1), 1);
  EXPECT_EQ(c, 'x');
}

TEST(Control, EndOfTheOtherSideIsNoMessage) {
  auto pair = MakeControlPair();
  ASSERT_TRUE(pair);
  pair->first.reset();
  auto received = ReceiveControl(pair->second.get());
  ASSERT_TRUE(received);
  EXPECT_FALSE(received->has_value());
}

TEST(Control, MalformedDatagramIsRefused) {
  auto pair = MakeControlPair();
  ASSERT_TRUE(pair);
  ASSERT_EQ(::send(pair->first.get(), "short", 5, 0), 5);
  EXPECT_FALSE(ReceiveControl(pair->second.get()));
  std::string big(200, 'x');  // a header-sized datagram whose payload size is a lie
  ASSERT_EQ(::send(pair->first.get(), big.data(), big.size(), 0), 200);
  EXPECT_FALSE(ReceiveControl(pair->second.get()));
}

TEST(Control, OversizedMessageIsRefusedBeforeSending) {
  ControlMessage m{.type = ControlType::kBind, .payload = std::string(kMaxPayload + 1, 'x')};
  EXPECT_FALSE(SendControl(-1, m));
}

TEST(Control, LastWordsArriveThoughTheSenderLeftMessagesUnread) {
  auto pair = MakeControlPair();
  ASSERT_TRUE(pair);
  ASSERT_TRUE(SendControl(pair->second.get(), {.type = ControlType::kFailed, .payload = "why"}));
  ASSERT_TRUE(SendControl(pair->first.get(), {.type = ControlType::kBind}));  // never read
  pair->second.reset();
  const auto last = ReceiveControl(pair->first.get());
  ASSERT_TRUE(last && *last);
  EXPECT_EQ((*last)->payload, "why");
  const auto end = ReceiveControl(pair->first.get());
  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);
}

}  // namespace
}  // namespace postern::channel
