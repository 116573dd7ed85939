#include "har/har.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace postern::har {
namespace {

Body Kept(std::string bytes) {
  const auto size = static_cast<int64_t>(bytes.size());
  return {.bytes = std::move(bytes), .size = size};
}

HarEntry Sample() {
  HarEntry e{.time = "2026-01-01T00:00:00.000Z", .method = "POST", .url = "https://a.test/x?q=1&r"};
  e.request_fields = {{"content-type", "text/plain"}};
  e.request_body = Kept("ask");
  e.status = 200;
  e.status_text = "Fine \xfc";
  e.http_version = "HTTP/1.1";
  e.response_fields = {
      {"content-type", "text/html"}, {"x-bytes", "\xe4\xf6"}, {"content-length", "4"}};
  e.response_body = Kept("\xff\x01z");
  return e;
}

std::string File(const std::string& entries) {
  return std::string(Beginning()) + entries + std::string(Ending());
}

TEST(Har, WhatIsWrittenIsReadAgain) {
  HarEntry text = Sample(), bytes = Sample(), failed = Sample();
  text.response_body = Kept("caf\xc3\xa9\n");
  bytes.request_body = Kept(std::string("\x00\xfe", 2));
  bytes.response_body = Kept(std::string("\xff\x00\x01z", 4));
  failed.status = 0;
  failed.failure = channel::Failure{"connection_refused", "ERR_CONNECTION_REFUSED", "no"};
  const auto read =
      Parse(File(FormatEntry(text) + ",\n" + FormatEntry(bytes) + ",\n" + FormatEntry(failed)));
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 3u);
  EXPECT_EQ((*read)[0].response_body.bytes, text.response_body.bytes);
  EXPECT_EQ((*read)[0].status_text, text.status_text);
  EXPECT_EQ((*read)[0].response_fields[1].value, "\xe4\xf6");
  EXPECT_EQ((*read)[0].response_fields.size(), 3u);
  EXPECT_EQ((*read)[1].request_body.bytes, bytes.request_body.bytes);
  EXPECT_EQ((*read)[1].response_body.bytes, bytes.response_body.bytes);
  EXPECT_EQ((*read)[2].failure->code, "ERR_CONNECTION_REFUSED");
}

TEST(Har, HasWhatTheSpecificationAsksFor) {
  const auto har = nlohmann::json::parse(File(FormatEntry(Sample())));
  EXPECT_EQ(har["log"]["version"], "1.2");
  const auto& entry = har["log"]["entries"][0];
  for (const char* key : {"startedDateTime", "time", "request", "response", "cache", "timings"}) {
    EXPECT_TRUE(entry.contains(key)) << key;
  }
  for (const char* key : {"method", "url", "httpVersion", "cookies", "headers", "queryString",
                          "headersSize", "bodySize", "postData"}) {
    EXPECT_TRUE(entry["request"].contains(key)) << key;
  }
  for (const char* key : {"status", "statusText", "httpVersion", "cookies", "headers", "content",
                          "redirectURL", "headersSize", "bodySize"}) {
    EXPECT_TRUE(entry["response"].contains(key)) << key;
  }
  EXPECT_EQ(entry["request"]["queryString"].size(), 2u);
}

TEST(Har, ABrowsersBodyIsDecodedAlready) {
  const auto read = Parse(
      R"({"log":{"entries":[{"request":{"method":"GET","url":"https://a.test/"},"response":{"status":200,
      "headers":[{"name":":status","value":"200"},{"name":"Content-Encoding","value":"br"},
      {"name":"Content-Type","value":"text/css"}],"content":{"text":"aGk=","encoding":"base64"}}}]}})");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ((*read)[0].response_body.bytes, "hi");
  EXPECT_EQ((*read)[0].response_fields.size(), 1u);
}

TEST(Har, MalformedOnesAreRefused) {
  for (const char* bad :
       {"", "[]", "{}", "{\"log\":{}}", "{\"log\":{\"entries\":{\"a\":1}}}",
        "{\"log\":{\"entries\":[1]}}", "{\"log\":{\"entries\":[{}]}}",
        "{\"log\":", "{\"log\":{\"entries\":[{\"request\":{\"method\":1,\"url\":\"\"}}]}}"}) {
    const auto read = Parse(bad);
    EXPECT_FALSE(read) << bad;
  }
}

TEST(Har, AHeadIsTheSameOnTheOtherSide) {
  HarEntry e = Sample();
  e.failure = channel::Failure{"http_protocol_error", "ERR_X", "bytes \xff\x01"};
  e.response_fields.push_back({"x-bytes", "\xff\xfe"});
  e.request_body = {.size = 7};
  e.response_body = {.size = 20'000'000, .missing = std::string(kTooLarge)};
  const auto again = UnpackHead(PackHead(e));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(FormatEntry(*again), FormatEntry(e));
  EXPECT_FALSE(UnpackHead("\x9f"));
  EXPECT_FALSE(UnpackHead(""));
}

}  // namespace
}  // namespace postern::har
