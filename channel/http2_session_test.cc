// Two sessions, end to end in memory, and one that gets what no well-meaning peer sends.
#include "channel/http2_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <map>

#include "channel/endpoint.h"
#include "channel/failure.h"

namespace postern::channel {
namespace {

struct Recorder : Http2Session::Observer {
  std::map<int32_t, Fields> headers, trailers;
  std::vector<Fields> informed;
  std::map<int32_t, std::string> bodies;
  std::map<int32_t, uint32_t> closed;
  std::string to_send;
  Fields send_trailers;
  int pongs = 0;
  bool goaway = false;

  void OnHeaders(int32_t stream, Fields fields, bool) override {
    const std::string* status = FindField(fields, ":status");
    if (status != nullptr && status->starts_with('1')) return informed.push_back(std::move(fields));
    (headers.contains(stream) ? trailers : headers)[stream] = std::move(fields);
  }
  void OnData(int32_t stream, std::span<const uint8_t> data) override {
    bodies[stream].append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  void OnEndOfBody(int32_t) override {}
  void OnClosed(int32_t stream, uint32_t error) override { closed[stream] = error; }
  void OnPong() override { ++pongs; }
  void OnGoaway() override { goaway = true; }
  size_t ReadBody(int32_t, std::span<uint8_t> out, bool* end, Fields* trailers_out) override {
    const size_t n = std::min(out.size(), to_send.size());
    std::memcpy(out.data(), to_send.data(), n);
    to_send.erase(0, n);
    *end = to_send.empty();
    if (*end) *trailers_out = send_trailers;
    return n;
  }
};

struct Pair {
  Recorder guest, broker;
  Http2Session client{Http2Session::Role::kGuestClient, 10, guest};
  Http2Session server{Http2Session::Role::kBrokerServer, 10, broker};

  // Carries bytes until neither has more to say. False where a side gave up.
  bool Carry() {
    for (bool moved = true; moved;) {
      moved = false;
      for (auto [from, to] : {std::pair{&client, &server}, std::pair{&server, &client}}) {
        for (;;) {
          const auto out = from->NextOutput();
          if (!out) return false;
          if (out->empty()) break;
          moved = true;
          if (!to->Receive(*out)) return false;
        }
      }
    }
    return true;
  }
};

const Fields kGet = {
    {":method", "GET"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/"}};

TEST(Http2Session, CarriesARequestAndItsResponse) {
  Pair p;
  const auto stream = p.client.Request(kGet, false);
  ASSERT_TRUE(stream && p.Carry());
  EXPECT_EQ(*FindField(p.broker.headers[*stream], ":authority"), "a.test");
  p.broker.to_send = "body";
  p.broker.send_trailers = {{"proxy-status", "postern; error=x; code=ERR_X; details=\"y\""}};
  ASSERT_TRUE(p.server.Respond(*stream, {{":status", "200"}}, true) && p.Carry());
  EXPECT_EQ(p.guest.bodies[*stream], "body");
  EXPECT_EQ(ParseProxyStatus(*FindField(p.guest.trailers[*stream], "proxy-status"))->code, "ERR_X");
  EXPECT_EQ(p.guest.closed[*stream], 0u);
}

TEST(Http2Session, InformationComesBeforeTheResponse) {
  Pair p;
  const auto stream = p.client.Request(kGet, false);
  ASSERT_TRUE(stream && p.Carry());
  ASSERT_TRUE(p.server.Inform(*stream, {{":status", "103"}, {"link", "</a>"}}) && p.Carry());
  ASSERT_TRUE(p.server.Inform(*stream, {{":status", "100"}}) && p.Carry());
  ASSERT_TRUE(p.server.Respond(*stream, {{":status", "999"}}, false) && p.Carry());
  ASSERT_EQ(p.guest.informed.size(), 2u);
  EXPECT_EQ(*FindField(p.guest.informed[0], "link"), "</a>");
  EXPECT_EQ(*FindField(p.guest.headers[*stream], ":status"), "999");
  EXPECT_EQ(p.guest.closed[*stream], 0u);
  // What is too large for a block is refused, and ends nothing.
  const auto second = p.client.Request(kGet, false);
  ASSERT_TRUE(p.Carry());
  EXPECT_FALSE(p.server.Inform(
      *second, {{":status", "103"}, {"link", std::string(kMaxFieldBytes + 1, 'x')}}));
  ASSERT_TRUE(p.server.Respond(*second, {{":status", "200"}}, false) && p.Carry());
  EXPECT_EQ(p.guest.closed[*second], 0u);
}

TEST(Http2Session, AnUnreadBodyStopsAtItsWindow) {
  Pair p;
  const auto stream = p.client.Request(kGet, false);
  ASSERT_TRUE(p.Carry());
  p.broker.to_send.assign(8 * kStreamWindow, 'x');
  ASSERT_TRUE(p.server.Respond(*stream, {{":status", "200"}}, true) && p.Carry());
  EXPECT_EQ(p.guest.bodies[*stream].size(), kStreamWindow);
  // Another stream is not held up by it.
  const auto second = p.client.Request(kGet, false);
  ASSERT_TRUE(p.Carry() && p.server.Respond(*second, {{":status", "204"}}, false) && p.Carry());
  EXPECT_EQ(p.guest.closed.at(*second), 0u);
  p.client.Consume(*stream, kStreamWindow);
  ASSERT_TRUE(p.Carry());
  EXPECT_EQ(p.guest.bodies[*stream].size(), 2 * kStreamWindow);
}

TEST(Http2Session, StreamsBeyondTheLimitWait) {
  Pair p;
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(p.client.Request(kGet, false));
  ASSERT_TRUE(p.Carry());
  EXPECT_EQ(p.broker.headers.size(), 10u);
  EXPECT_TRUE(p.guest.closed.empty());
}

TEST(Http2Session, PingIsAnswered) {
  Pair p;
  p.client.Ping();
  ASSERT_TRUE(p.Carry());
  EXPECT_EQ(p.guest.pongs, 1);
}

TEST(Http2Session, TooManyHeaderBytesNeverArrive) {
  Pair p;
  Fields fields = kGet;
  for (int i = 0; i < 3; ++i)
    fields.push_back({"x-" + std::to_string(i), std::string(kMaxHeaderBytes / 2, 'y')});
  const auto stream = p.client.Request(fields, false);
  if (stream) p.Carry();
  EXPECT_TRUE(p.broker.headers.empty());
}

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  std::string f = {static_cast<char>(size >> 16),   static_cast<char>(size >> 8),
                   static_cast<char>(size),         static_cast<char>(type),
                   static_cast<char>(flags),        static_cast<char>(stream >> 24),
                   static_cast<char>(stream >> 16), static_cast<char>(stream >> 8),
                   static_cast<char>(stream)};
  return f + payload;
}

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Whether a server ends the session over `bytes` after a well-formed start.
bool Ends(const std::string& bytes) {
  Recorder recorder;
  Http2Session server(Http2Session::Role::kBrokerServer, 10, recorder);
  const std::string all = kPreface + Frame(4, 0, 0, "") + bytes;
  const Status taken = server.Receive({reinterpret_cast<const uint8_t*>(all.data()), all.size()});
  std::string said;
  for (auto out = server.NextOutput(); out && !out->empty(); out = server.NextOutput()) {
    said.append(reinterpret_cast<const char*>(out->data()), out->size());
  }
  // GOAWAY is frame type 7.
  bool goaway = false;
  for (size_t at = 0; at + 9 <= said.size();) {
    const size_t size = static_cast<uint8_t>(said[at]) << 16 |
                        static_cast<uint8_t>(said[at + 1]) << 8 |
                        static_cast<uint8_t>(said[at + 2]);
    goaway = goaway || said[at + 3] == 7;
    at += 9 + size;
  }
  return !taken || goaway || server.Finished();
}

TEST(Http2Session, HostileFramesEndTheSession) {
  EXPECT_FALSE(Ends(""));
  EXPECT_TRUE(Ends(Frame(0, 0, 1, "data on a stream that is not open")));
  EXPECT_TRUE(Ends(Frame(1, 4, 2, "\x82")));                      // an even stream of a client
  EXPECT_TRUE(Ends(Frame(1, 4, 0, "\x82")));                      // headers on stream 0
  EXPECT_TRUE(Ends(Frame(1, 4, 1, "\xff\xff\xff\xff\xff\xff")));  // HPACK that is none
  EXPECT_TRUE(Ends(Frame(9, 4, 1, "")));                          // CONTINUATION out of nowhere
  EXPECT_TRUE(Ends(Frame(5, 4, 1, std::string(8, '\0'))));        // PUSH_PROMISE by a client
  EXPECT_TRUE(Ends(Frame(4, 0, 0, "odd")));                       // SETTINGS of a wrong size
  EXPECT_TRUE(Ends(Frame(6, 0, 0, "short")));                     // PING of a wrong size
  EXPECT_TRUE(Ends(Frame(8, 0, 0, std::string(4, '\0'))));        // WINDOW_UPDATE of 0
  EXPECT_TRUE(Ends(Frame(8, 0, 0, "\x7f\xff\xff\xff") + Frame(8, 0, 0, "\x7f\xff\xff\xff")));
  EXPECT_TRUE(Ends(Frame(0, 0, 1, std::string(kMaxFrameSize + 1, 'x'))));
  std::string pings;
  for (int i = 0; i < 20'000; ++i) pings += Frame(6, 0, 0, std::string(8, '\0'));
  EXPECT_TRUE(Ends(pings));
  std::string settings;
  for (int i = 0; i < 20'000; ++i) settings += Frame(4, 0, 0, "");
  EXPECT_TRUE(Ends(settings));
  std::string continuations = Frame(1, 0, 1, "\x82");
  for (int i = 0; i < 10'000; ++i) continuations += Frame(9, 0, 1, "\x82");
  EXPECT_TRUE(Ends(continuations));
}

TEST(Http2Session, WhatIsNoPrefaceEndsTheSession) {
  Recorder recorder;
  Http2Session server(Http2Session::Role::kBrokerServer, 10, recorder);
  const std::string junk(100, 'G');
  EXPECT_FALSE(server.Receive({reinterpret_cast<const uint8_t*>(junk.data()), junk.size()}));
}

TEST(Failure, AnyTextSurvivesTheTrip) {
  for (const std::string details : {"plain", "quote \" and \\ backslash",
                                    "line\nbreak; error=forged", "ünï\x80 code=\"x\"", ""}) {
    const auto back = ParseProxyStatus(FormatProxyStatus({"dns_error", "ERR_DNS", details}));
    ASSERT_TRUE(back) << details;
    EXPECT_EQ(back->error, "dns_error");
    EXPECT_EQ(back->code, "ERR_DNS");
    EXPECT_EQ(back->details, details);
  }
  for (const char* bad :
       {"", "other; error=x", "postern; error=x", "postern; error=x; code=y; details=\"open"}) {
    EXPECT_FALSE(ParseProxyStatus(bad)) << bad;
  }
}

TEST(Endpoint, AFullPipeNeverBlocks) {
  auto forth = MakePipe(O_NONBLOCK);
  auto back = MakePipe(O_NONBLOCK);
  ASSERT_TRUE(forth && back);
  Recorder recorder;
  Endpoint client(Http2Session::Role::kGuestClient, 10, recorder, std::move(back->read),
                  std::move(forth->write));
  recorder.to_send.assign(8 << 20, 'x');
  Fields post = kGet;
  post[0].value = "POST";
  ASSERT_TRUE(client.session().Request(post, true));
  // A server that grants a large window and then reads nothing more.
  const std::string grant = Frame(4, 0, 0, std::string("\x00\x04\x7f\xff\xff\xff", 6)) +
                            Frame(8, 0, 0, std::string("\x00\xff\xff\xff", 4));
  ASSERT_EQ(::write(back->write.get(), grant.data(), grant.size()),
            static_cast<ssize_t>(grant.size()));
  ASSERT_TRUE(client.Read());
  const auto flushed = client.Flush();
  ASSERT_TRUE(flushed);
  EXPECT_FALSE(*flushed);
  forth->read.reset();
  ::signal(SIGPIPE, SIG_IGN);
  EXPECT_FALSE(client.Flush());
}

// A guest that sent a thousand requests at once: the server takes them in turns, and loses none.
TEST(Http2Session, TakesManyRequestsInTurns) {
  struct Counting : Http2Session::Observer {
    int requests = 0;
    void OnHeaders(int32_t, Fields fields, bool) override {
      ++requests;
      EXPECT_EQ(fields.size(), 4U);
    }
    void OnData(int32_t, std::span<const uint8_t>) override {}
    void OnEndOfBody(int32_t) override {}
    void OnClosed(int32_t, uint32_t) override {}
    size_t ReadBody(int32_t, std::span<uint8_t>, bool* end, Fields*) override {
      *end = true;
      return 0;
    }
  } asking, counting;
  constexpr int kRequests = 90;
  const auto output_of = [](Http2Session& session) {
    std::string all;
    for (auto out = session.NextOutput(); out && !out->empty(); out = session.NextOutput())
      all.append(reinterpret_cast<const char*>(out->data()), out->size());
    return all;
  };
  const auto bytes_of = [](const std::string& text) {
    return std::span<const uint8_t>(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  Http2Session client(Http2Session::Role::kGuestClient, 0, asking);
  Http2Session server(Http2Session::Role::kBrokerServer, 1000, counting);
  ASSERT_TRUE(client.Receive(bytes_of(output_of(server))));  // how many streams it may open
  for (int i = 0; i < kRequests; ++i) {
    ASSERT_TRUE(client.Request(
        {{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}}, false));
  }
  const std::string all = output_of(client);
  std::span<const uint8_t> bytes = bytes_of(all);
  int turns = 0;
  for (int before = 0; !bytes.empty(); before = counting.requests, ++turns) {
    const auto taken = server.ReceiveSome(bytes);
    ASSERT_TRUE(taken);
    ASSERT_GT(*taken, 0U);
    // And those whose first field ended a step of the turn.
    EXPECT_LE(counting.requests - before, static_cast<int>(kBlocksATurn) * 5 / 4 + 1);
    bytes = bytes.subspan(*taken);
  }
  EXPECT_EQ(counting.requests, kRequests);
  EXPECT_GE(turns, kRequests / static_cast<int>(kBlocksATurn));
}

// By what a broker tells a guest that floods its channel from one that has much to ask.
TEST(Http2Session, WhatBringsNothingIsNoise) {
  Pair p;
  const auto stream = p.client.Request(kGet, true);
  p.guest.to_send.assign(kStreamWindow, 'x');
  ASSERT_TRUE(stream && p.Carry());
  p.server.TakeNoise();  // the preface, settings
  Fields post = kGet;
  post[0].value = "POST";
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(p.client.Request(kGet, false));
  ASSERT_TRUE(p.Carry());
  p.server.Consume(*stream, kStreamWindow);
  EXPECT_EQ(p.broker.headers.size(), 10U);
  EXPECT_LT(p.server.TakeNoise(), 100U);
  EXPECT_EQ(p.server.TakeNoise(), 0U);

  p.client.Reset(*stream + 2, 8);
  ASSERT_TRUE(p.Carry());
  EXPECT_EQ(p.server.TakeNoise(), kResetNoise + 13);

  const auto send = [&](const std::string& frame, int times) {
    for (int i = 0; i < times; ++i)
      EXPECT_TRUE(p.server.Receive({reinterpret_cast<const uint8_t*>(frame.data()), frame.size()}));
    return p.server.TakeNoise();
  };
  EXPECT_EQ(send(Frame(6, 0, 0, "12345678"), 100), 100U * (17 + kAnswerNoise));  // PING
  EXPECT_EQ(send(Frame(200, 0, 0, std::string(100, 'x')), 10), 10U * 109);       // unknown
  const auto id = static_cast<uint32_t>(*stream);
  EXPECT_GE(send(Frame(0, 8, id, "\xff" + std::string(255, '\0')), 10), 10U * 250);  // padding only
}

}  // namespace
}  // namespace postern::channel
