#include "broker/net/request_record.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace postern::broker {
namespace {

using nlohmann::json;

struct Sink : RecordSink {
  void WriteEvent(const std::string& line) override { events.push_back(json::parse(line)); }
  bool ReserveRecording(size_t bytes) override {
    if (bytes > room) return false;
    room -= bytes;
    return true;
  }
  void ReleaseRecording(size_t bytes) override { room += bytes; }
  void WriteEntry(har::HarEntry entry) override { entries.push_back(std::move(entry)); }

  std::vector<json> events;
  std::vector<har::HarEntry> entries;
  size_t room = 1000;
};

RequestTarget Target(const std::string& url) {
  return {RequestKind::kHttp, "GET", *policy::ParseUrl(url), false};
}

const channel::Fields kNone;

TEST(RequestRecord, HasTwoEvents) {
  Sink sink;
  RequestRecord record(sink, {.events = true, .run = "r1", .number = 7});
  const RequestTarget target = Target("http://a.test/x?q=1");
  policy::Rule rule;
  rule.text = "a.test";
  rule.origin = "--allow-net";
  record.WriteDecision(target, {true, &rule, "", ""}, "allow");
  record.SetPeer("192.0.2.1:80", "");
  record.CountSent(3);
  record.WriteEnd(target, {.status = 204,
                           .http_version = "HTTP/1.1",
                           .responded = true,
                           .over = true,
                           .bytes_in = 5,
                           .request_fields = kNone,
                           .response_fields = kNone});
  ASSERT_EQ(sink.events.size(), 2u);
  const json& first = sink.events[0];
  EXPECT_EQ(first["event"], "decision");
  EXPECT_EQ(first["run"], "r1");
  EXPECT_EQ(first["request"], 7);
  EXPECT_EQ(first["method"], "GET");
  EXPECT_EQ(first["url"], "http://a.test/x?q=1");
  EXPECT_EQ(first["decision"], "allow");
  EXPECT_EQ(first["rule"], (json{{"text", "a.test"}, {"at", "--allow-net"}}));
  const json& second = sink.events[1];
  EXPECT_EQ(second["event"], "end");
  EXPECT_EQ(second["url"], first["url"]);
  EXPECT_EQ(second["status"], 204);
  EXPECT_EQ(second["address"], "192.0.2.1:80");
  EXPECT_EQ(second["http"], "HTTP/1.1");
  EXPECT_EQ(second["bytesIn"], 5);
  EXPECT_EQ(second["bytesOut"], 3);
  EXPECT_FALSE(second.contains("error"));
  EXPECT_TRUE(second["timings"].contains("total"));
  EXPECT_TRUE(sink.entries.empty());
}

TEST(RequestRecord, TheEndIsToldOnceAndWithTheFirstFailure) {
  Sink sink;
  RequestRecord record(sink, {.events = true});
  const RequestTarget target = Target("http://a.test/");
  record.WriteDecision(target, {}, "deny");
  record.SetFailure({channel::kErrDns, "no such name"});
  record.SetFailure({channel::kErrLimitOfBody, "another"});
  const RequestRecord::End end{.over = true, .request_fields = kNone, .response_fields = kNone};
  record.WriteEnd(target, end);
  record.WriteEnd(target, end);
  ASSERT_EQ(sink.events.size(), 2u);
  EXPECT_EQ(sink.events[1]["error"]["code"], "ERR_DNS");
  EXPECT_EQ(sink.events[1]["error"]["error"], "dns_error");
  EXPECT_EQ(sink.events[1]["error"]["message"], "no such name");
}

TEST(RequestRecord, AGuestThatEndsTheRequestIsTheCause) {
  Sink sink;
  RequestRecord record(sink, {.events = true});
  const RequestTarget target = Target("http://a.test/");
  record.WriteDecision(target, {}, "allow");
  record.WriteEnd(target, {.request_fields = kNone, .response_fields = kNone});
  EXPECT_EQ(sink.events[1]["error"]["code"], "ERR_ABORTED");
}

TEST(RequestRecord, WhereNobodyListensNothingIsWritten) {
  Sink sink;
  RequestRecord record(sink, {.har = true});
  const RequestTarget target = Target("http://a.test/");
  record.WriteDecision(target, {}, "allow");
  record.KeepResponseBody("x");
  record.WriteEnd(target, {.over = true, .request_fields = kNone, .response_fields = kNone});
  EXPECT_TRUE(sink.events.empty());
  EXPECT_TRUE(sink.entries.empty());
}

TEST(RequestRecord, AQueryThatIsRedactedIsInNoEvent) {
  Sink sink;
  RequestRecord record(sink, {.events = true, .redact_query = true});
  record.WriteDecision(Target("http://a.test/x?key=abc"), {}, "allow");
  EXPECT_EQ(sink.events[0]["url"], "http://a.test/x?...");
}

TEST(RequestRecord, AnyBytesMakeALineOfJson) {
  Sink sink;
  RequestRecord record(sink, {.events = true, .run = std::string("\"\\\n\0\xff", 5)});
  record.WriteDecision(Target("http://a.test/" + std::string(5'000, 'x')), {}, "allow");
  EXPECT_EQ(sink.events[0]["run"], std::string("\"\\\n\0\u00ff", 6));
  EXPECT_LE(sink.events[0]["url"].get<std::string>().size(), 4'100u);
}

TEST(RequestRecord, AHarEntryHasWhatTheGuestSentAndGot) {
  Sink sink;
  RequestRecord record(sink, {.events = true, .har = true});
  const RequestTarget target = Target("http://a.test/");
  record.WriteDecision(target, {}, "allow");
  record.KeepRequestBody("ask");
  record.KeepResponseBody("ans");
  record.KeepResponseBody("wer");
  record.SetPeer("[2001:db8::1]:80", "TLSv1.3");
  const channel::Fields asked = {{":method", "GET"}, {"accept", "*/*"}, {"postern-raw", "on"}};
  const channel::Fields answered = {{"postern-content-length", "6"}, {"x", "y"}};
  record.WriteEnd(target, {.status = 200,
                           .reason = "OK",
                           .responded = true,
                           .over = true,
                           .bytes_in = 6,
                           .request_fields = asked,
                           .response_fields = answered});
  ASSERT_EQ(sink.entries.size(), 1u);
  const har::HarEntry& e = sink.entries[0];
  EXPECT_EQ(e.url, "http://a.test/");
  EXPECT_EQ(e.request_fields, (channel::Fields{{"accept", "*/*"}}));
  EXPECT_EQ(e.response_fields, (channel::Fields{{"content-length", "6"}, {"x", "y"}}));
  EXPECT_EQ(e.request_body.bytes, "ask");
  EXPECT_EQ(e.response_body.bytes, "answer");
  EXPECT_EQ(e.status, 200);
  EXPECT_EQ(e.address, "[2001:db8::1]");
}

TEST(RequestRecord, ABodyForWhichThereIsNoRoomIsLeftOutAsAWhole) {
  Sink sink;
  RequestRecord record(sink, {.events = true, .har = true});
  const RequestTarget target = Target("http://a.test/");
  record.WriteDecision(target, {}, "allow");
  record.KeepResponseBody(std::string(600, 'x'));
  EXPECT_EQ(sink.room, 400u);
  record.KeepResponseBody(std::string(600, 'x'));
  EXPECT_EQ(sink.room, 1000u);  // given back
  record.KeepResponseBody("more");
  record.WriteEnd(target, {.over = true, .request_fields = kNone, .response_fields = kNone});
  EXPECT_EQ(sink.entries[0].response_body.bytes, "");
  EXPECT_EQ(sink.entries[0].response_body.size, 1204);
  EXPECT_EQ(sink.entries[0].response_body.missing, har::kTooLarge);
}

}  // namespace
}  // namespace postern::broker
