#include "server/http/http_connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <cerrno>

namespace postern::server {
namespace {

using namespace std::chrono_literals;

// A connection whose client is this test, on a loop that it turns itself.
class HttpConnectionTest : public testing::Test {
 protected:
  ~HttpConnectionTest() override {
    if (connection_) connection_->Close();
    io_.poll();
  }

  // `gathers`: bodies come with their requests; else in pieces.
  void Connect(bool gathers = true) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    client_.reset(fds[0]);
    HttpConnection::Callbacks callbacks;
    callbacks.request = [this](HttpConnection& c, HttpRequest request) {
      requests_.push_back(std::move(request));
      if (on_request_) on_request_(c);
    };
    if (!gathers) {
      callbacks.body = [this](HttpConnection&, std::string_view bytes) { body_ += bytes; };
      callbacks.body_end = [this](HttpConnection&) { body_ += "|"; };
    }
    callbacks.refused = [this](HttpConnection&, int status) { refused_ = status; };
    callbacks.closed = [this](HttpConnection&) { ++closed_; };
    connection_ = HttpConnection::Start(
        io_, HttpConnection::Socket(io_, boost::asio::generic::stream_protocol(AF_UNIX, 0), fds[1]),
        false, limits_, std::move(callbacks), std::make_shared<size_t>(0));
  }
  void Send(std::string_view bytes) {
    ASSERT_EQ(::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Turns the loop until `there`, and at most for ten seconds.
  template <typename Predicate>
  bool TurnUntil(const Predicate& there) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!there() && std::chrono::steady_clock::now() < end) io_.run_one_for(1s);
    return there();
  }
  // What the client has received, once that ends so.
  std::string ReceivedUntil(const std::string& end) {
    TurnUntil([&] {
      Receive();
      return received_.ends_with(end);
    });
    return std::exchange(received_, {});
  }
  // Whether the connection is at its end for the client; its errno where that is a reset.
  bool SeesEnd() {
    return TurnUntil([&] {
      Receive();
      return ended_;
    });
  }
  void Receive() {
    char buffer[4096];
    const ssize_t n = ::recv(client_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) received_.append(buffer, static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EAGAIN)) ended_ = true;
  }

  boost::asio::io_context io_;
  HttpConnection::ConnectionLimits limits_;
  UniqueFd client_;
  std::shared_ptr<HttpConnection> connection_;
  std::vector<HttpRequest> requests_;
  std::function<void(HttpConnection&)> on_request_;
  std::string body_, received_;
  int refused_ = 0, closed_ = 0;
  bool ended_ = false;
};

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(HttpConnectionTest, AnswersOneAfterTheOther) {
  on_request_ = [this](HttpConnection& c) {
    c.Respond(200, "text/plain", std::to_string(requests_.size()));
  };
  Connect();
  EXPECT_TRUE(connection_->idle());
  Send(std::string(kGet) + std::string(kGet));
  const std::string both = ReceivedUntil("\r\n\r\n2");
  EXPECT_LT(both.find("\r\n\r\n1HTTP/1.1 200 OK"), both.size()) << both;
  EXPECT_TRUE(TurnUntil([&] { return connection_->idle(); }));
  EXPECT_EQ(closed_, 0);
}

TEST_F(HttpConnectionTest, WhatComesAheadWaitsForItsTurn) {
  Connect();
  Send(std::string(kGet) + std::string(kGet));
  EXPECT_TRUE(TurnUntil([&] { return requests_.size() == 1; }));
  io_.poll();
  EXPECT_EQ(requests_.size(), 1u);
  EXPECT_FALSE(connection_->idle());
  connection_->Respond(204, "", "");
  EXPECT_TRUE(TurnUntil([&] { return requests_.size() == 2; }));
}

TEST_F(HttpConnectionTest, NonsenseIsRefusedAndIsTheEnd) {
  for (const bool kept : {false, true}) {
    ended_ = false;
    on_request_ = [](HttpConnection& c) { c.Respond(204, "", ""); };
    Connect();
    if (kept) {
      Send(kGet);
      EXPECT_TRUE(ReceivedUntil("\r\n\r\n").starts_with("HTTP/1.1 204 "));
    }
    Send("NONSENSE\r\n\r\n");
    const std::string answer = ReceivedUntil("}\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << kept << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(SeesEnd());
    client_.reset();
    EXPECT_TRUE(TurnUntil([&] { return connection_->closed(); }));
  }
}

TEST_F(HttpConnectionTest, ARequestThatDoesNotArriveIsToldSo) {
  limits_.request = 20ms;
  for (const bool kept : {false, true}) {
    on_request_ = [](HttpConnection& c) { c.Respond(204, "", ""); };
    Connect();
    if (kept) {
      Send(kGet);
      EXPECT_TRUE(ReceivedUntil("\r\n\r\n").starts_with("HTTP/1.1 204 "));
    }
    Send("GET /a HT");
    EXPECT_TRUE(ReceivedUntil("}\n").starts_with("HTTP/1.1 408 ")) << kept;
  }
}

TEST_F(HttpConnectionTest, AnIdleConnectionEndsWithoutAnAnswer) {
  limits_.idle = 20ms;
  Connect();
  EXPECT_TRUE(SeesEnd());
  EXPECT_EQ(received_, "");
  EXPECT_TRUE(TurnUntil([&] { return closed_ == 1; }));
}

TEST_F(HttpConnectionTest, ABodyComesInPiecesWhereNothingIsGathered) {
  Connect(false);
  Send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
  EXPECT_TRUE(TurnUntil([&] { return body_ == "abc"; }));
  Send("def");
  EXPECT_TRUE(TurnUntil([&] { return body_ == "abcdef|"; }));
}

TEST_F(HttpConnectionTest, ABodyThatStallsIsRefusedWhereNoAnswerHasBegun) {
  limits_.request = 20ms;
  Connect(false);
  Send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
  EXPECT_TRUE(ReceivedUntil("}\n").starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(refused_, 408);
}

TEST_F(HttpConnectionTest, AnAnswerThatHasBegunIsNotCompletedByAnother) {
  Connect(false);
  Send("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_TRUE(TurnUntil([&] { return requests_.size() == 1; }));
  connection_->Start(200, {}, true);
  connection_->Write("half");
  EXPECT_NE(ReceivedUntil("half\r\n").find("Transfer-Encoding: chunked"), std::string::npos);
  Send("zz\r\n");
  EXPECT_TRUE(SeesEnd());
  EXPECT_EQ(received_, "");
  EXPECT_EQ(refused_, 400);
}

TEST_F(HttpConnectionTest, AnAnswerBeforeItsBodyIsTheLast) {
  on_request_ = [](HttpConnection& c) { c.Respond(200, "text/plain", "early"); };
  Connect(false);
  Send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc");
  const std::string answer = ReceivedUntil("early");
  EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
  EXPECT_TRUE(SeesEnd());
  EXPECT_EQ(body_, "");
}

TEST_F(HttpConnectionTest, WhoWaitsForContinueGetsItOnce) {
  Connect();
  Send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(ReceivedUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  Send("ab");
  EXPECT_TRUE(TurnUntil([&] { return requests_.size() == 1; }));
  EXPECT_EQ(requests_[0].body, "ab");
}

TEST_F(HttpConnectionTest, AnHttp10ClientReadsToTheEnd) {
  on_request_ = [](HttpConnection& c) {
    c.Start(200, {}, true);
    c.Write("all");
    c.EndStream();
  };
  Connect();
  Send("GET /a HTTP/1.0\r\n\r\n");
  const std::string answer = ReceivedUntil("all");
  EXPECT_EQ(answer.find("chunked"), std::string::npos) << answer;
  EXPECT_TRUE(SeesEnd());
}

TEST_F(HttpConnectionTest, AServerThatStopsClosesWhatIsIdle) {
  Connect();
  connection_->Finish();
  EXPECT_TRUE(SeesEnd());
  on_request_ = nullptr;
  ended_ = false;
  Connect();
  Send(kGet);
  EXPECT_TRUE(TurnUntil([&] { return requests_.size() == 1; }));
  connection_->Finish();
  connection_->Respond(200, "text/plain", "last");
  EXPECT_FALSE(ReceivedUntil("last").empty());
  EXPECT_TRUE(SeesEnd());
}

TEST_F(HttpConnectionTest, AClientThatGoesIsTheEnd) {
  Connect();
  Send(kGet);
  EXPECT_TRUE(TurnUntil([&] { return requests_.size() == 1; }));
  client_.reset();
  EXPECT_TRUE(TurnUntil([&] { return closed_ == 1; }));
  connection_->Respond(200, "text/plain", "nobody");  // and nothing comes of it
  io_.poll();
  EXPECT_EQ(closed_, 1);
}

}  // namespace
}  // namespace postern::server
