#include "channel/control.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstring>

namespace postern::channel {
namespace {

// One of each, with every member other than its default.
const ControlMessage kEachMessage[] = {
    Ready{{"seccomp", "landlock:4"}, {"net: why"}},
    StartFailed{"why", true},
    ForkSpare{7, true},
    SpareMade{7},
    SpareFailed{7, "why"},
    SpareExited{7, {.wait_status = -1, .peak_kib = 1, .cpu_us = 2}},
    BindGuest{7, true, "run"},
    DropGuest{7},
    Ping{7},
    Pong{7},
    BindFailed{7, "why"},
    UsageReport{7, {1, 2, 3, 4, {{"ERR_POSTERN_TIMEOUT", 5}}}},
    GuestEvent{7, 3, "{}"},
    ChannelClosed{7, {1, 2, 3, UINT64_MAX, {}}},
    ReopenAudit{},
    ReportPart{"version: 1"},
    LogClosed{3, true, "No space left on device"},
    EventLines{true, 12, 3, "{}\n{}\n"},
    EntryPiece{true, true, kEntryResponseBody, std::string("\0\xff", 2)},
    EventsLogged{12, 28},
};
static_assert(std::size(kEachMessage) == std::variant_size_v<ControlMessage>);

std::string Datagram(const ControlMessage& message) {
  const EncodedControl encoded(message);
  return std::string(reinterpret_cast<const char*>(&encoded.header), sizeof encoded.header)
      .append(encoded.payload);
}

std::string With(ControlHeader header, std::string_view payload = "") {
  header.payload_size = static_cast<uint32_t>(payload.size());
  return std::string(reinterpret_cast<const char*>(&header), sizeof header).append(payload);
}

TEST(Control, EachMessageIsReadAsItWasWritten) {
  for (const ControlMessage& message : kEachMessage) {
    const auto read = DecodeControl(Datagram(message));
    ASSERT_TRUE(read) << message.index();
    EXPECT_EQ(*read, message) << message.index();
  }
}

TEST(Control, NumbersOnTheWireStay) {
  const std::pair<ControlMessage, uint32_t> numbers[] = {
      {Ready{}, 1}, {BindGuest{}, 6}, {ChannelClosed{}, 7}, {Ping{}, 9}, {Pong{}, 10}};
  for (const auto& [message, number] : numbers)
    EXPECT_EQ(EncodedControl(message).header.number, number);
}

TEST(Control, AFieldThatNoMemberTravelsInIsEmpty) {
  for (const ControlMessage& message : kEachMessage) {
    for (const size_t at :
         {offsetof(ControlHeader, id), offsetof(ControlHeader, a), offsetof(ControlHeader, b)}) {
      std::string datagram = Datagram(message);
      uint64_t field = 0;
      std::memcpy(&field, &datagram[at], sizeof field);
      field ^= uint64_t{1} << 62;
      std::memcpy(&datagram[at], &field, sizeof field);
      const auto read = DecodeControl(datagram);
      if (read) {
        EXPECT_NE(*read, message) << message.index();  // it is a member's, and was read
      }
    }
  }
  EXPECT_FALSE(DecodeControl(With({.number = SpareMade::kNumber}, "x")));
  EXPECT_FALSE(DecodeControl(With({.number = DropGuest::kNumber, .a = 1})));
  EXPECT_FALSE(DecodeControl(With({.number = ReopenAudit::kNumber, .id = 1})));
}

TEST(Control, WhatAMemberCannotHaveIsMalformed) {
  const ControlHeader closed{.number = ChannelClosed::kNumber};
  const std::string malformed[] = {
      With({.number = 0}),
      With({.number = 10'000}),
      With({.number = ForkSpare::kNumber, .a = 2}),
      With({.number = EntryPiece::kNumber, .a = 3}),
      With({.number = EntryPiece::kNumber, .a = -1}),
      With({.number = SpareExited::kNumber, .a = int64_t{1} << 40}, "0"),
      With({.number = SpareExited::kNumber}, ""),
      With({.number = SpareExited::kNumber}, "1x"),
      With({.number = Ready::kNumber}, ""),
      With({.number = Ready::kNumber}, R"({"on":["a"]})"),
      With({.number = Ready::kNumber}, R"({"on":[1],"missing":[]})"),
      With(closed, "{}"),
      With(closed, "[" + std::string(50'000, '[')),
      With(closed, R"({"requests":-1,"denied":0,"bytesIn":0,"bytesOut":0,"errors":{}})"),
      With(closed, R"({"requests":1,"denied":0,"bytesIn":0,"bytesOut":0,"errors":{"A":"b"}})"),
  };
  for (const std::string& datagram : malformed)
    EXPECT_FALSE(DecodeControl(datagram)) << &datagram - malformed;
  EXPECT_TRUE(DecodeControl(
      With(closed, R"({"requests":1,"denied":0,"bytesIn":0,"bytesOut":0,"errors":{}})")));
}

TEST(Control, CarriesDescriptors) {
  auto pair = MakeControlPair();
  ASSERT_TRUE(pair);
  auto pipe = MakePipe();
  ASSERT_TRUE(pipe);
  const BindGuest sent{.guest = 7, .wants_events = true, .run = "run"};
  ASSERT_TRUE(SendControl(pair->first.get(), sent, {pipe->write.get()}));
  auto received = ReceiveControl(pair->second.get());
  ASSERT_TRUE(received && *received);
  EXPECT_EQ((*received)->message, ControlMessage(sent));
  ASSERT_EQ((*received)->fds.size(), 1u);
  ASSERT_EQ(::write((*received)->fds[0].get(), "x", 1), 1);
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
  const Status sent = SendControl(-1, ReportPart{std::string(kMaxPayload + 1, 'x')});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().errnum, EMSGSIZE);
}

TEST(Control, LastWordsArriveThoughTheSenderLeftMessagesUnread) {
  auto pair = MakeControlPair();
  ASSERT_TRUE(pair);
  ASSERT_TRUE(SendControl(pair->second.get(), StartFailed{.reason = "why"}));
  ASSERT_TRUE(SendControl(pair->first.get(), Ping{}));  // never read
  pair->second.reset();
  const auto last = ReceiveControl(pair->first.get());
  ASSERT_TRUE(last && *last);
  EXPECT_EQ((*last)->message, ControlMessage(StartFailed{.reason = "why"}));
  const auto end = ReceiveControl(pair->first.get());
  ASSERT_TRUE(end);
  EXPECT_FALSE(*end);
}

}  // namespace
}  // namespace postern::channel
