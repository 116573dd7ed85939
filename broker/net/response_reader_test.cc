#include "broker/net/response_reader.h"

#include <gtest/gtest.h>

#include "policy/secrets/secret_index.h"

namespace postern::broker {
namespace {

using channel::FindField;
using Line = ResponseReader::Line;

class ResponseReaderTest : public testing::Test {
 protected:
  ResponseReader Head(bool raw = false) {
    return ResponseReader(
        {.host_port = "a.test:80", .limits = limits_, .secrets = secrets_, .raw = raw});
  }
  // What the last of these lines came to; the first that is not taken ends it.
  static Line TakeAll(ResponseReader& head, std::initializer_list<std::string_view> lines) {
    Line line = Line::kTaken;
    for (const std::string_view text : lines) {
      line = head.Take(std::string(text) + "\r\n");
      if (line != Line::kTaken) break;
    }
    return line;
  }
  std::string WhyRefused(std::initializer_list<std::string_view> lines) {
    ResponseReader head = Head();
    return TakeAll(head, lines) == Line::kRefused ? head.failure().details : "it is not";
  }

  policy::NetworkLimits limits_;
  std::shared_ptr<const policy::SecretIndex> secrets_;
};

TEST_F(ResponseReaderTest, IsReadLineByLine) {
  ResponseReader head = Head();
  EXPECT_EQ(TakeAll(head, {"HTTP/1.1 100 Continue", ""}), Line::kEnd);
  EXPECT_EQ(head.status(), 100);
  EXPECT_EQ(TakeAll(head, {"HTTP/1.1 201 All is well", "Content-Type: text/plain ",
                           "Content-Length: 5", "Connection: close", "X-Empty:", ""}),
            Line::kEnd);
  EXPECT_EQ(head.status(), 201);
  EXPECT_EQ(head.reason(), "All is well");
  EXPECT_EQ(head.http_version(), "HTTP/1.1");
  const channel::Fields fields = head.ForGuest("");
  EXPECT_EQ(*FindField(fields, ":status"), "201");
  EXPECT_EQ(*FindField(fields, "content-type"), "text/plain");
  EXPECT_EQ(*FindField(fields, "postern-content-length"), "5");
  EXPECT_EQ(*FindField(fields, "x-empty"), "");
  EXPECT_EQ(FindField(fields, "connection"), nullptr);
  EXPECT_EQ(FindField(fields, "content-length"), nullptr);
}

TEST_F(ResponseReaderTest, WhatIsMalformedIsRefused) {
  const std::string malformed = "a.test:80 answered with a malformed ";
  EXPECT_EQ(WhyRefused({"HTTP/1.1 2x0 OK"}), malformed + "status line");
  EXPECT_EQ(WhyRefused({"HTTP/1.1 99 OK"}), malformed + "status line");
  EXPECT_EQ(WhyRefused({"HTTP/1.1 1000 OK"}), malformed + "status line");
  EXPECT_EQ(WhyRefused({"HTTP/0.9 200 OK"}), malformed + "status line");
  EXPECT_EQ(WhyRefused({"HTTP/1.1 200", "no colon"}), malformed + "header field");
  EXPECT_EQ(WhyRefused({"HTTP/1.1 200", "a b: c"}), malformed + "header field");
  EXPECT_EQ(WhyRefused({"HTTP/1.1 200", "a: \x01"}), malformed + "header field");
  EXPECT_EQ(WhyRefused({"HTTP/1.1 200", " folded: first"}), malformed + "header field");
  EXPECT_EQ(WhyRefused({"HTTP/1.1 101 Switching"}),
            "a.test:80 switched to another protocol (101), which nobody asked for");
}

TEST_F(ResponseReaderTest, SaysOneWayToReadTheBody) {
  EXPECT_EQ(WhyRefused({"HTTP/1.1 200", "Content-Length: 5", "Content-Length: 6"}),
            "a.test:80 gave two different Content-Lengths");
  EXPECT_EQ(WhyRefused({"HTTP/1.1 200", "Content-Length: -1"}),
            "a.test:80 gave a Content-Length that is none: -1");
  EXPECT_EQ(WhyRefused({"HTTP/1.1 200", "Transfer-Encoding: gzip"}),
            "a.test:80 sent a transfer coding that nobody asked for: gzip");
  EXPECT_NE(
      WhyRefused({"HTTP/1.1 200", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"}),
      "it is not");
  ResponseReader both = Head(true);
  EXPECT_EQ(TakeAll(both, {"HTTP/1.1 200", "Content-Length: 5", "Transfer-Encoding: chunked", ""}),
            Line::kEnd);
  EXPECT_TRUE(both.DropLengthOfChunks());
  EXPECT_EQ(FindField(both.ForGuest(""), "postern-content-length"), nullptr);
  ResponseReader length = Head();
  TakeAll(length, {"HTTP/1.1 200", "Content-Length: 5", ""});
  EXPECT_FALSE(length.DropLengthOfChunks());
  EXPECT_FALSE(length.EndsWithItsConnection("GET"));
  ResponseReader neither = Head();
  TakeAll(neither, {"HTTP/1.1 200", ""});
  EXPECT_TRUE(neither.EndsWithItsConnection("GET"));
  EXPECT_FALSE(neither.EndsWithItsConnection("HEAD"));
}

TEST_F(ResponseReaderTest, AFieldMayGoOnInAnotherLine) {
  ResponseReader head = Head();
  EXPECT_EQ(TakeAll(head, {"HTTP/1.1 200", "X-Long: a", "\tb", "  c", ""}), Line::kEnd);
  EXPECT_EQ(*FindField(head.fields(), "x-long"), "a b c");
  EXPECT_NE(WhyRefused({"HTTP/1.1 200", "Content-Length: 5", " 6"}), "it is not");
}

TEST_F(ResponseReaderTest, HasBounds) {
  limits_.header_bytes = 100;
  EXPECT_EQ(WhyRefused({"HTTP/1.1 200", "X: " + std::string(100, 'x')}),
            "the header section of a.test:80 is larger than the limit of 100 (header_bytes)");
  limits_.header_bytes = 10'000;
  limits_.header_count = 2;
  EXPECT_EQ(
      WhyRefused({"HTTP/1.1 200", "A: 1", "B: 2", "C: 3"}),
      "the number of header fields of a.test:80 is larger than the limit of 2 (header_count)");
}

TEST_F(ResponseReaderTest, AClientThatSeesTheWireGetsNamesAndTrailers) {
  ResponseReader head = Head(true);
  TakeAll(head, {"HTTP/1.0 200 OK", "X-CaSe: 1", "plain: 2", ""});
  const channel::Fields fields = head.ForGuest(" 192.0.2.1 80");
  EXPECT_EQ(*FindField(fields, "postern-names"), "X-CaSe,plain");
  EXPECT_EQ(*FindField(fields, "postern-connection"), "1.0 192.0.2.1 80");
  head.StartTrailers();
  EXPECT_EQ(TakeAll(head, {"X-Sum: 3", "Content-Length: 7", "Transfer-Encoding: chunked", ""}),
            Line::kTaken);
  const channel::Fields trailers = head.TrailersForGuest();
  ASSERT_EQ(trailers.size(), 2u);
  EXPECT_EQ(trailers[0], (channel::Field{"x-sum", "3"}));
  EXPECT_EQ(trailers[1], (channel::Field{"postern-names", "X-Sum"}));
  ResponseReader plain = Head();
  TakeAll(plain, {"HTTP/1.1 200", ""});
  plain.StartTrailers();
  EXPECT_EQ(plain.Take("X-Sum: 3\r\n"), Line::kTaken);
  EXPECT_TRUE(plain.TrailersForGuest().empty());
}

TEST_F(ResponseReaderTest, AProxyThatGotTheRequestAnswers407ForItself) {
  ResponseReader head = Head();
  head.set_from_proxy(true);
  EXPECT_EQ(TakeAll(head, {"HTTP/1.1 407 Proxy Authentication Required"}), Line::kRefused);
  EXPECT_EQ(head.failure().code, "ERR_PROXY_AUTHENTICATION");
  EXPECT_EQ(WhyRefused({"HTTP/1.1 407 No", ""}), "it is not");
}

TEST_F(ResponseReaderTest, WhereSecretsGoNothingTellsThem) {
  const std::string secret = "correct-horse-battery";
  secrets_ = std::make_shared<const policy::SecretIndex>(
      std::map<std::string, std::string>{{"KEY", secret}});
  ResponseReader head = Head();
  EXPECT_EQ(TakeAll(head, {"HTTP/1.1 200 it is " + secret, "X-Echo: " + secret, "ETag: \"1\"",
                           "X-" + secret + ": 1", "Content-Length: 5", ""}),
            Line::kEnd);
  for (const channel::Field& f : head.ForGuest("")) {
    EXPECT_EQ((f.name + f.value).find(secret), std::string::npos) << f.name;
    EXPECT_NE(f.name, "etag");
    EXPECT_NE(f.name, "postern-content-length");
  }
  EXPECT_NE(FindField(head.fields(), "x-echo"), nullptr);
  EXPECT_NE(WhyRefused({"HTTP/1.1 200", "Content-Encoding: gzip"}), "it is not");
  EXPECT_NE(WhyRefused({"HTTP/1.1 206 Partial Content"}), "it is not");
}

}  // namespace
}  // namespace postern::broker
