// A guest that answers, and guests that send what no well-meaning one does: what the supervisor's
// side makes of it.
#include "server/handler/handler_instance.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "channel/endpoint.h"

namespace postern::server {
namespace {

using channel::Fields;
using channel::Http2Session;

struct Client : HandlerClient {
  int status = 0;
  Fields fields;
  std::string body, upload;
  bool ended = false;
  std::optional<HandlerFailure> failure;

  void OnHead(int s, Fields f, bool) override {
    EXPECT_FALSE(over());
    status = s;
    fields = std::move(f);
  }
  void OnBody(std::span<const uint8_t> bytes) override {
    EXPECT_FALSE(over());
    body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void OnEnd() override {
    EXPECT_FALSE(over());
    ended = true;
  }
  void OnFailure(const HandlerFailure& f) override {
    EXPECT_FALSE(over());
    failure = f;
  }
  size_t ReadBody(std::span<uint8_t> out, bool* end) override {
    const size_t n = std::min(out.size(), upload.size());
    std::copy_n(upload.begin(), n, out.begin());
    upload.erase(0, n);
    *end = upload.empty();
    return n;
  }
  bool over() const { return ended || failure; }
};

// The guest's end, driven by the test.
struct FarEnd : Http2Session::Observer {
  std::map<int32_t, Fields> requests;
  std::string to_send;
  std::map<int32_t, uint32_t> closed;
  void OnHeaders(int32_t stream, Fields fields, bool) override {
    requests[stream] = std::move(fields);
  }
  void OnData(int32_t, std::span<const uint8_t>) override {}
  void OnEndOfBody(int32_t) override {}
  void OnClosed(int32_t stream, uint32_t error) override { closed[stream] = error; }
  size_t ReadBody(int32_t, std::span<uint8_t> out, bool* end, Fields*) override {
    const size_t n = std::min(out.size(), to_send.size());
    std::copy_n(to_send.begin(), n, out.begin());
    to_send.erase(0, n);
    *end = to_send.empty();
    return n;
  }
};

class HandlerGuestTest : public testing::Test {
 protected:
  HandlerGuestTest() {
    ::signal(SIGPIPE, SIG_IGN);
    int up[2], down[2];
    EXPECT_EQ(::pipe2(up, O_CLOEXEC | O_NONBLOCK), 0);
    EXPECT_EQ(::pipe2(down, O_CLOEXEC | O_NONBLOCK), 0);
    guest_ = std::make_shared<HandlerInstance>(
        io_, 1, HandlerInstance::Options{.concurrency = 8, .requests = 100},
        HandlerInstance::Callbacks{.ready = [this] { ready_ = true; },
                                   .answered = [this] { ++answered_; },
                                   .freed = [this] { ++freed_; },
                                   .refused = [this](const HandlerRequestPtr&) { ++refused_; },
                                   .ended = [](const run_api::Outcome&) {},
                                   .kill = [this](const std::string& why) { killed_ = why; }});
    guest_->OnChannel(UniqueFd(up[0]), UniqueFd(down[1]));
    far_ = std::make_unique<channel::Endpoint>(Http2Session::Role::kGuestHandler, 100, handler_,
                                               UniqueFd(down[0]), UniqueFd(up[1]));
  }
  // Requests and their guest hold each other until it has ended.
  void TearDown() override {
    for (const auto& r : made_) r->client = nullptr;  // which the test's body had
    guest_->OnEnded(run_api::Outcome());
    io_.restart();
    io_.poll();
  }
  void Carry() {
    for (int i = 0; i < 20; ++i) {
      io_.restart();
      io_.poll();
      if (!far_) continue;
      (void)far_->Read();
      (void)far_->Flush();
    }
  }
  // Bytes of no session at all.
  void Say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(far_->out(), bytes.data(), bytes.size());
      if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
      io_.restart();
      io_.poll();
      if (n < 0 && errno != EAGAIN) return;
    }
  }
  HandlerRequestPtr Request(Client& client) {
    auto r = std::make_shared<HandlerRequest>();
    r->fields = {{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/"}};
    r->client = &client;
    made_.push_back(r);
    guest_->Send(r);
    return r;
  }
  int32_t Arrived() const { return handler_.requests.rbegin()->first; }

  boost::asio::io_context io_{1};
  std::shared_ptr<HandlerInstance> guest_;
  std::vector<HandlerRequestPtr> made_;
  FarEnd handler_;
  std::unique_ptr<channel::Endpoint> far_;
  bool ready_ = false;
  int answered_ = 0, freed_ = 0, refused_ = 0;
  std::string killed_;
};

TEST(ClientWait, IsTheTimeOfItsClientAlone) {
  using std::chrono::seconds;
  const ClientWait::Time start{};
  const auto at = [&](int s) { return start + seconds(s); };
  ClientWait wait;
  EXPECT_EQ(wait.Total(at(9)), seconds(0));
  wait.AwaitBody(at(10));
  EXPECT_EQ(wait.Total(at(12)), seconds(2));
  wait.BodyReceived(1, at(13));  // the guest's time begins
  EXPECT_EQ(wait.Total(at(20)), seconds(0));
  wait.AwaitBody(at(20));  // a byte now and then is no progress
  EXPECT_EQ(wait.Total(at(21)), seconds(4));
  wait.Sent(10, at(22));
  wait.BodyReceived(ClientWait::kProgress, at(23));
  EXPECT_TRUE(wait.waiting());  // it has not taken what was answered
  EXPECT_EQ(wait.Total(at(24)), seconds(1));
  wait.Delivered(10, at(25));
  EXPECT_FALSE(wait.waiting());
  EXPECT_EQ(wait.Total(at(30)), seconds(0));
}

TEST_F(HandlerGuestTest, AnswersARequest) {
  Carry();
  ASSERT_TRUE(ready_);
  Client client;
  Request(client);
  Carry();
  handler_.to_send = "body";
  ASSERT_TRUE(far_->session().Respond(Arrived(), {{":status", "201"}, {"x", "y"}}, true));
  Carry();
  EXPECT_EQ(client.status, 201);
  EXPECT_EQ(client.body, "body");
  EXPECT_TRUE(client.ended);
  EXPECT_EQ(answered_, 1);
  EXPECT_EQ(guest_->outstanding(), 0U);
}

TEST_F(HandlerGuestTest, FieldsThatWouldSplitTheResponseDoNotPass) {
  Carry();
  Client client;
  Request(client);
  Carry();
  ASSERT_TRUE(far_->session().Respond(
      Arrived(), {{":status", "200"}, {"x", "a\r\nset-cookie: b=1"}, {"y\r\nz", "1"}, {"ok", "1"}},
      false));
  Carry();
  for (const auto& f : client.fields) {
    EXPECT_EQ(f.value.find_first_of("\r\n"), std::string::npos);
    EXPECT_EQ(f.name.find_first_of("\r\n"), std::string::npos);
  }
  ASSERT_TRUE(client.ended || client.failure);
  if (client.ended) {
    EXPECT_EQ(*channel::FindField(client.fields, "ok"), "1");
  }
}

TEST_F(HandlerGuestTest, ABodyThatIsNotAsLongAsItSaysFails) {
  for (const char* length : {"3", "300"}) {
    Carry();
    Client client;
    Request(client);
    Carry();
    handler_.to_send = "body";
    ASSERT_TRUE(
        far_->session().Respond(Arrived(), {{":status", "200"}, {"content-length", length}}, true));
    Carry();
    EXPECT_FALSE(client.ended);
    EXPECT_TRUE(client.failure);
    EXPECT_LE(client.body.size(), 4U);
  }
}

TEST_F(HandlerGuestTest, AStatusOfItsOwnIsNone) {
  for (const char* status : {"999", "700", "0", "abc", "99999999999"}) {
    Carry();
    Client client;
    Request(client);
    Carry();
    ASSERT_TRUE(far_->session().Respond(Arrived(), {{":status", status}}, false));
    Carry();
    EXPECT_EQ(client.status, 0) << status;
    EXPECT_TRUE(client.failure) << status;
  }
}

TEST_F(HandlerGuestTest, AResetFailsItsRequestAlone) {
  Carry();
  Client one, two;
  Request(one);
  Carry();
  const int32_t first = Arrived();
  Request(two);
  Carry();
  far_->session().Reset(first, NGHTTP2_INTERNAL_ERROR);
  ASSERT_TRUE(far_->session().Respond(Arrived(), {{":status", "200"}}, false));
  Carry();
  EXPECT_EQ(one.failure->status, 502);
  EXPECT_TRUE(two.ended);
}

TEST_F(HandlerGuestTest, ARetiringGuestGetsNoMoreAndEndsWhenItIsDone) {
  Carry();
  Client one, two;
  Request(one);
  Carry();
  far_->session().Retire();
  Carry();
  EXPECT_FALSE(guest_->CanAccept());
  // One that comes in this very moment goes to another guest.
  Request(two);
  Carry();
  EXPECT_EQ(refused_, 1);
  ASSERT_TRUE(far_->session().Respond(Arrived(), {{":status", "200"}}, false));
  Carry();
  EXPECT_TRUE(one.ended);
  const auto read = far_->Read();
  EXPECT_TRUE(read && *read == channel::Endpoint::ReadOutcome::kClosed);
}

TEST_F(HandlerGuestTest, NonsenseEndsTheChannelAndNothingElse) {
  Carry();
  Client client;
  Request(client);
  Carry();
  Say("HTTP/1.1 200 OK\r\n\r\n" + std::string(100'000, 'x'));
  Carry();
  EXPECT_FALSE(guest_->CanAccept());
  run_api::Outcome outcome;
  outcome.SetError(run_api::Outcome::Kind::kKilled, 137, "killed on purpose");
  guest_->OnEnded(outcome);
  Carry();
  EXPECT_EQ(client.failure->status, 502);
  EXPECT_NE(client.failure->detail.find("killed on purpose"), std::string::npos);
  EXPECT_EQ(guest_->outstanding(), 0U);
}

TEST_F(HandlerGuestTest, WhatAGuestsErrorSaysIsNotForItsClients) {
  Carry();
  Client client;
  Request(client);
  run_api::Outcome outcome;
  outcome.SetError(run_api::Outcome::Kind::kFailed, 1, "token=hunter2");
  guest_->OnEnded(outcome);
  Carry();
  ASSERT_TRUE(client.failure);
  EXPECT_EQ(client.failure->detail.find("hunter2"), std::string::npos);
}

TEST_F(HandlerGuestTest, AFloodOfPingsIsReadInTurns) {
  Carry();
  std::string ping("\0\0\10\6\0\0\0\0\0", 9);
  ping += "12345678";
  std::string flood;
  for (int i = 0; i < 5'000; ++i) flood += ping;
  Say(flood);
  Client client;
  Request(client);
  Carry();
  EXPECT_LE(guest_->outstanding(), 1U);
}

}  // namespace
}  // namespace postern::server
