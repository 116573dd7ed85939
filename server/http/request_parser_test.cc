#include "server/http/request_parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace postern::server {
namespace {

// What a request came to: one text, to be compared.
struct Heard : RequestParser::Sink {
  void OnHead(RequestHead head) override {
    text = head.method + " " + head.target + (head.http11 ? " 1.1" : " 1.0") +
           (head.keep_alive ? " keep" : " close");
    for (const channel::Field& f : head.fields) text += "\n" + f.name + "=" + f.value;
  }
  void OnBody(std::string_view bytes) override { body += bytes; }
  void OnComplete() override { complete = true; }

  std::string text, body;
  bool complete = false;
};

struct Parsed {
  std::string text, body, problem;
  int status = 0;
  size_t used = 0, most_left = 0;
  bool operator==(const Parsed& o) const {
    return text == o.text && body == o.body && status == o.status && used == o.used;
  }
};

// In pieces of the given sizes, in turn.
Parsed Parse(std::string_view bytes, const std::vector<size_t>& pieces,
             uint64_t limit = UINT64_MAX) {
  Heard heard;
  RequestParser parser(heard, limit);
  Parsed result;
  std::string unread;
  for (size_t at = 0, i = 0; at < bytes.size() && !parser.complete() && !parser.problem(); ++i) {
    const size_t n = std::min(pieces[i % pieces.size()], bytes.size() - at);
    unread += bytes.substr(at, n);
    at += n;
    const size_t used = parser.Parse(unread);
    unread.erase(0, used);
    result.used += used;
    if (!parser.complete() && !parser.problem())
      result.most_left = std::max(result.most_left, unread.size());
  }
  result.text = heard.text;
  result.body = heard.body;
  EXPECT_EQ(heard.complete, parser.complete());
  if (parser.problem()) {
    result.status = parser.problem()->status;
    result.problem = parser.problem()->detail;
    EXPECT_FALSE(result.problem.empty());
    // How far it got before it was sure depends on the pieces.
    result.used = 0;
  }
  return result;
}

constexpr char kChunked[] =
    "POST /p?q HTTP/1.1\r\nHost: h:1\r\nX-One:  a b\t\r\ntransfer-encoding: Chunked\r\n\r\n"
    "3;a=\"b\"\r\nabc\r\n0010\r\n0123456789abcdef\r\n0\r\nTrailer: dropped\r\n\r\n";

TEST(RequestParser, ARequestIsWhatItSaysHoweverItIsSplit) {
  const std::vector<std::string> requests = {
      std::string(kChunked) + "GET /next HTTP/1.1\r\n",
      "\r\nGET http://h/x HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\nrest",
      "PUT / HTTP/1.1\r\nHost:\r\nConnection: x, CLOSE\r\nContent-Length: 0005\r\n\r\nabcdefg"};
  for (const std::string& request : requests) {
    const Parsed whole = Parse(request, {request.size()});
    EXPECT_EQ(whole.status, 0) << whole.problem;
    for (size_t n = 1; n < 70; ++n) EXPECT_EQ(whole, Parse(request, {n})) << n;
  }
  const Parsed chunked = Parse(requests[0], {7});
  EXPECT_EQ(chunked.text, "POST /p?q 1.1 keep\nhost=h:1\nx-one=a b\ntransfer-encoding=Chunked");
  EXPECT_EQ(chunked.body, "abc0123456789abcdef");
  EXPECT_EQ(requests[0].substr(chunked.used), "GET /next HTTP/1.1\r\n");
  EXPECT_EQ(Parse(requests[2], {100}).body, "abcde");
}

// A request with one byte changed, left out or put in is taken or refused alike, however it comes.
TEST(RequestParser, AnyChangedByteIsJudgedTheSameInAnySplit) {
  std::mt19937 random(9112);
  constexpr char kBytes[] = "\0\r\n\t :;,0aF+-x\x7f\x80\"";
  for (int i = 0; i < 20'000; ++i) {
    std::string request = kChunked;
    const size_t at = random() % request.size();
    const char byte = kBytes[random() % (sizeof kBytes - 1)];
    if (i % 3 == 0) request[at] = byte;
    if (i % 3 == 1) request.erase(at, 1);
    if (i % 3 == 2) request.insert(at, 1, byte);
    const Parsed whole = Parse(request, {request.size()});
    const Parsed pieces = Parse(request, {1 + random() % 9, 1 + random() % 40});
    EXPECT_EQ(whole.status, pieces.status) << testing::PrintToString(request);
    if (whole.status == 0) {
      EXPECT_EQ(whole, pieces) << testing::PrintToString(request);
    }
  }
}

TEST(RequestParser, WhatIsLeftOverIsOneLine) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string kilobyte(1024, 'a');
  std::string long_line = head + "1;", many = head, digits = head, trailers = head + "0\r\n",
              fields = "GET / HTTP/1.1\r\nX: ", target = "GET /";
  for (int i = 0; i < 64; ++i) {
    long_line += kilobyte;
    digits += std::string(1024, '0');
    trailers += "T: " + kilobyte + "\r\n";
    fields += kilobyte;
    target += kilobyte;
  }
  for (int i = 0; i < 1000; ++i) many += "1;" + std::string(100, 'e') + "\r\na\r\n";
  const std::pair<std::string, int> all[] = {{long_line, 400}, {digits, 400}, {trailers, 431},
                                             {many, 400},      {fields, 431}, {target, 431}};
  for (const auto& [bytes, status] : all) {
    const Parsed parsed = Parse(bytes, {1500});
    EXPECT_EQ(parsed.status, status) << parsed.problem;
    EXPECT_LE(parsed.most_left, kHeaderBytes) << parsed.problem;
  }
}

TEST(RequestParser, ABodyHasItsLimit) {
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(Parse(post + "Content-Length: 11\r\n\r\n", {99}, 10).status, 413);
  EXPECT_EQ(Parse(post + "Content-Length: 10\r\n\r\n", {99}, 10).status, 0);
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(Parse(chunked + "6\r\nabcdef\r\n5\r\n", {99}, 10).status, 413);
  EXPECT_EQ(Parse(chunked + "ffffffffffffffff\r\n", {99}, 10).status, 413);
  EXPECT_EQ(Parse(chunked + "1\r\na\r\nffffffffffffffff\r\n", {99}).status, 413);
  EXPECT_EQ(Parse(chunked + "10000000000000000\r\n", {99}).status, 400);
}

}  // namespace
}  // namespace postern::server
