#include "broker/upstream/curl_exchange.h"

#include <gtest/gtest.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstring>

namespace postern::broker {
namespace {

using boost::asio::ip::tcp;
using namespace std::chrono_literals;

// An origin on loopback that reads one request up to where it ends so, and then answers.
class Origin {
 public:
  explicit Origin(boost::asio::io_context& io) : acceptor_(io, {tcp::v4(), 0}), socket_(io) {}

  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  void Answer(std::string answer, bool close = true, std::string until = "\r\n\r\n") {
    answer_ = std::move(answer);
    until_ = std::move(until);
    close_ = close;
    acceptor_.async_accept(socket_, [this](const boost::system::error_code& error) {
      if (!error) Read();
    });
  }
  void Close() { acceptor_.close(); }
  const std::string& received() const { return received_; }

 private:
  void Read() {
    socket_.async_read_some(boost::asio::buffer(buffer_),
                            [this](const boost::system::error_code& error, size_t n) {
                              if (error) return;
                              received_.append(buffer_.data(), n);
                              if (!answered_ && received_.ends_with(until_)) return Write();
                              Read();
                            });
  }
  void Write() {
    answered_ = true;
    boost::asio::async_write(socket_, boost::asio::buffer(answer_),
                             [this](const boost::system::error_code&, size_t) {
                               if (close_) return socket_.close();
                               Read();
                             });
  }

  tcp::acceptor acceptor_;
  tcp::socket socket_;
  std::array<char, 4096> buffer_{};
  std::string received_, answer_, until_;
  bool answered_ = false, close_ = true;
};

class CurlExchangeTest : public testing::Test, public UpstreamObserver {
 protected:
  CurlExchangeTest() {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    auto trust = TrustStore::Read("");
    EXPECT_TRUE(trust);
    trust_ = std::make_unique<TrustStore>(*std::move(trust));
    upstream_ = std::make_unique<CurlUpstream>(io_, *trust_, 4);
  }

  UpstreamRequest Get(const std::string& path = "/") const {
    return {.method = "GET",
            .url = "http://a.test:" + std::to_string(origin_.port()) + path,
            .host = "a.test",
            .port = origin_.port(),
            .addresses = {*IpAddress::Parse("127.0.0.1")},
            .header_bytes = 10'000,
            .total_timeout_ms = 60'000};
  }
  void Start(UpstreamRequest request) {
    ended_ = false;
    exchange_ = upstream_->Start(std::move(request), *this);
    ASSERT_NE(exchange_, nullptr);
  }
  template <typename Predicate>
  bool TurnUntil(const Predicate& there) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!there() && std::chrono::steady_clock::now() < end) io_.run_one_for(1s);
    return there();
  }
  bool Ends() {
    return TurnUntil([&] { return ended_; });
  }

  // ---- UpstreamObserver
  bool MayConnect(const IpAddress&) override { return may_connect_; }
  void OnConnecting() override { calls_ += "connecting "; }
  void OnTlsStart() override { calls_ += "tls "; }
  void OnConnected(const UpstreamPeer& peer) override {
    calls_ += "connected ";
    peer_ = peer;
  }
  size_t ReadUpload(std::span<char> out, bool* end) override {
    const size_t n = std::min(out.size(), upload_.size());
    std::memcpy(out.data(), upload_.data(), n);
    upload_.erase(0, n);
    *end = n == 0 && upload_ended_;
    return n;
  }
  LineTaken OnHeaderLine(std::string_view line) override {
    head_ += line;
    if (line == "\r\n") {
      shape_.begun = true;
      return at_the_end_;
    }
    return LineTaken::kTaken;
  }
  BodyTaken OnBody(std::string_view bytes) override {
    if (full_) return BodyTaken::kFull;
    body_ += bytes;
    return body_result_;
  }
  ResponseShape Shape() const override { return shape_; }
  void OnConnection() override { calls_ += "connection "; }
  void OnEnded(std::optional<channel::Failure> failure) override {
    ended_ = true;
    failure_ = std::move(failure);
    exchange_.reset();
  }

  boost::asio::io_context io_;
  Origin origin_{io_};
  std::unique_ptr<TrustStore> trust_;
  std::unique_ptr<CurlUpstream> upstream_;
  std::unique_ptr<UpstreamExchange> exchange_;
  bool may_connect_ = true, full_ = false, ended_ = false, upload_ended_ = false;
  LineTaken at_the_end_ = LineTaken::kTaken;
  BodyTaken body_result_ = BodyTaken::kTaken;
  ResponseShape shape_;
  UpstreamPeer peer_;
  std::string calls_, head_, body_, upload_;
  std::optional<channel::Failure> failure_;
};

TEST_F(CurlExchangeTest, BringsARequestToItsOriginAndTheResponseBack) {
  origin_.Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok");
  UpstreamRequest request = Get("/x?q=1");
  request.fields = {{"X-Own", "1"}, {"x-empty", ""}};
  Start(std::move(request));
  ASSERT_TRUE(Ends());
  EXPECT_EQ(failure_, std::nullopt);
  EXPECT_EQ(calls_, "connecting connected ");
  EXPECT_EQ(peer_.address, "127.0.0.1");
  EXPECT_EQ(peer_.port, origin_.port());
  EXPECT_EQ(head_, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\n");
  EXPECT_EQ(body_, "ok");
  EXPECT_EQ(origin_.received(),
            "GET /x?q=1 HTTP/1.1\r\nHost: a.test:" + std::to_string(origin_.port()) +
                "\r\nX-Own: 1\r\nx-empty:\r\n\r\n");
}

TEST_F(CurlExchangeTest, NothingIsConnectedThatTheGuardForbids) {
  origin_.Answer("HTTP/1.1 200 OK\r\n\r\n");
  may_connect_ = false;
  Start(Get());
  ASSERT_TRUE(Ends());
  EXPECT_EQ(failure_->code, "ERR_ADDRESS_BLOCKED");
  EXPECT_EQ(calls_, "connecting ");
}

TEST_F(CurlExchangeTest, AClosedPortRefuses) {
  UpstreamRequest request = Get();
  origin_.Close();
  Start(std::move(request));
  ASSERT_TRUE(Ends());
  EXPECT_EQ(failure_->code, "ERR_CONNECTION_REFUSED");
}

TEST_F(CurlExchangeTest, AnEndWithoutAnAnswerIsAFailure) {
  origin_.Answer("");
  Start(Get());
  ASSERT_TRUE(Ends());
  EXPECT_EQ(failure_->code, "ERR_RESPONSE_INCOMPLETE");
}

TEST_F(CurlExchangeTest, ABodyThatIsCutShortIsAFailure) {
  origin_.Answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok");
  Start(Get());
  ASSERT_TRUE(Ends());
  EXPECT_EQ(body_, "ok");
  EXPECT_EQ(failure_->code, "ERR_RESPONSE_INCOMPLETE");
}

TEST_F(CurlExchangeTest, AnObserverThatHasEnoughEndsItWell) {
  origin_.Answer("HTTP/1.1 417 No\r\nContent-Length: 5\r\n\r\nrest!", false);
  at_the_end_ = LineTaken::kEnough;
  Start(Get());
  ASSERT_TRUE(Ends());
  EXPECT_EQ(failure_, std::nullopt);
  EXPECT_EQ(body_, "");
}

TEST_F(CurlExchangeTest, ABodyWaitsWhileItsObserverIsFull) {
  origin_.Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false);
  full_ = true;
  Start(Get());
  EXPECT_TRUE(TurnUntil([&] { return shape_.begun; }));
  io_.poll();
  EXPECT_FALSE(ended_);
  full_ = false;
  exchange_->ResumeBody();
  ASSERT_TRUE(Ends());
  EXPECT_EQ(body_, "ok");
}

TEST_F(CurlExchangeTest, AnUploadComesInPieces) {
  origin_.Answer("HTTP/1.1 204 None\r\n\r\n", false, "abcdef");
  UpstreamRequest request = Get();
  request.method = "PUT";
  request.has_body = true;
  request.body_size = 6;
  upload_ = "abc";
  Start(std::move(request));
  EXPECT_TRUE(TurnUntil([&] { return origin_.received().ends_with("abc"); }));
  upload_ = "def";
  upload_ended_ = true;
  exchange_->ResumeUpload();
  ASSERT_TRUE(Ends());
  EXPECT_EQ(failure_, std::nullopt);
  EXPECT_NE(origin_.received().find("Content-Length: 6\r\n"), std::string::npos);
}

TEST_F(CurlExchangeTest, OneThatIsDestroyedCallsNothingMore) {
  origin_.Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  Start(Get());
  EXPECT_TRUE(TurnUntil([&] { return !origin_.received().empty(); }));
  exchange_.reset();
  io_.run_for(50ms);
  EXPECT_FALSE(ended_);
}

TEST_F(CurlExchangeTest, AStreamIsAConnectionAndNothingElse) {
  origin_.Answer("never");
  UpstreamRequest request = Get();
  request.kind = UpstreamRequest::Kind::kTcp;
  Start(std::move(request));
  EXPECT_TRUE(TurnUntil([&] { return calls_.ends_with("connection "); }));
  EXPECT_EQ(origin_.received(), "");
}

}  // namespace
}  // namespace postern::broker
