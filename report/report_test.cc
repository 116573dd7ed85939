#include "report/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace postern::report {
namespace {

using nlohmann::json;

// What the page's script is given.
json DataOf(const std::string& text, const std::string& name = "audit.jsonl") {
  const auto page = Page(text, name);
  if (!page) return page.error().message;
  const std::string begin = R"(<script type="application/json" id="data">)";
  const size_t at = page->find(begin) + begin.size();
  return json::parse(page->substr(at, page->find("</script>", at) - at));
}

std::string WhyNot(const std::string& text) {
  const auto page = Page(text, "x");
  return page ? "it is one" : page.error().message;
}

constexpr const char* kDecision =
    R"({"event":"decision","time":"2026-01-02T03:04:05.5Z","run":"r","request":1,"method":"GET",)"
    R"("url":"http://a.test/","decision":"allow","rule":{"text":"a.test","at":"--allow-net"}})";
constexpr const char* kEnd =
    R"({"event":"end","run":"r","request":1,"method":"GET","url":"http://a.test/","status":200,)"
    R"("bytesIn":5,"bytesOut":3,"timings":{"queue":1,"dns":2,"connect":3,"firstByte":10,)"
    R"("total":20}})";

TEST(Report, AnAuditLogsTwoEventsAreOneRequest) {
  const json data = DataOf(std::string(kDecision) + "\n\n" + kEnd + "\n");
  ASSERT_EQ(data["requests"].size(), 1u) << data;
  const json& r = data["requests"][0];
  EXPECT_EQ(r["rule"], "a.test (--allow-net)");
  EXPECT_EQ(r["status"], 200);
  EXPECT_EQ(r["in"], 5);
  EXPECT_EQ(r["ms"], 20);
  EXPECT_EQ(r["at"], 1767323045500.0);
  // Phases that follow each other.
  EXPECT_EQ(r["timings"], json::parse(R"({"queue":1.0,"dns":2.0,"connect":3.0,"wait":5.0,)"
                                      R"("receive":9.0})"));
  EXPECT_EQ(data["name"], "audit.jsonl");
}

TEST(Report, ALineThatIsStillWrittenIsLeftOut) {
  EXPECT_EQ(DataOf(std::string(kDecision) + "\n{\"event\":\"en")["requests"].size(), 1u);
  EXPECT_EQ(WhyNot(std::string(kDecision) + "\n{\"event\":\"en\n" + kEnd), "line 2 is no JSON");
  EXPECT_EQ(WhyNot("7\n"), "line 1 is no JSON object");
}

TEST(Report, LostEventsAreCounted) {
  EXPECT_EQ(DataOf(std::string(kDecision) + "\n"
                                            R"({"event":"lost","count":3})"
                                            "\n")["lost"],
            3);
}

TEST(Report, AHarFileOfAnyTool) {
  const json data = DataOf(
      R"({"log":{"entries":[{"startedDateTime":"2026-01-02T03:04:05Z","time":7,)"
      R"("request":{"method":"POST","url":"http://a.test/","headers":[{"name":"A","value":"b"}],)"
      R"("postData":{"text":"ask"},"bodySize":3},"response":{"status":201,"httpVersion":"HTTP/2",)"
      R"("content":{"size":6,"text":"answer"},"bodySize":-1},"timings":{"wait":5,"ssl":-1}}]}})",
      "a.har");
  const json& r = data["requests"][0];
  EXPECT_EQ(r["method"], "POST");
  EXPECT_EQ(r["upload"], "ask");
  EXPECT_EQ(r["body"], "answer");
  EXPECT_EQ(r["in"], 6);
  EXPECT_EQ(r["sent"], json::parse(R"([["A","b"]])"));
  EXPECT_EQ(r["timings"], json::parse(R"({"wait":5.0})"));
}

TEST(Report, ABodyThatIsNotThereIsNotShownAsEmpty) {
  const json data = DataOf(
      R"({"log":{"entries":[{"request":{},"response":{"content":{"size":6,"comment":"cut"}}},)"
      R"({"request":{},"response":{"content":{"size":4,"encoding":"base64","text":"AAAA"}}}]}})");
  EXPECT_EQ(data["requests"][0]["body"], "(not in the recording, 6 bytes: cut)");
  EXPECT_EQ(data["requests"][1]["body"], "(binary, 4 bytes)");
}

TEST(Report, WhatIsNeitherIsRefused) {
  EXPECT_EQ(WhyNot(R"({"log":{}})"), "it has no log.entries, as a HAR file has");
  EXPECT_EQ(WhyNot(R"({"log":{"entries":[1]}})"), "entry 1 is no object");
  EXPECT_NE(WhyNot("{}\n").find("neither a HAR file"), std::string::npos);
  EXPECT_EQ(DataOf("")["requests"].size(), 0u);
}

TEST(Report, NothingInItIsMarkup) {
  const std::string url = "http://a.test/</script><script>alert(1)</script>&amp;";
  json event = json::parse(kDecision);
  event["url"] = url;
  const std::string name = "<img src=x>";
  const auto page = Page(event.dump(), name);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->find("alert(1)</script>"), std::string::npos);
  EXPECT_EQ(page->find(name), std::string::npos);
  EXPECT_EQ(DataOf(event.dump(), name)["requests"][0]["url"], url);
}

TEST(Report, ValuesOfOtherTypesHarmNothing) {
  EXPECT_EQ(
      DataOf(R"({"event":"end","request":null,"status":"x","timings":7,"error":[]})")["requests"]
          .size(),
      1u);
  EXPECT_EQ(DataOf(R"({"log":{"entries":[{"request":1,"response":[],"timings":"","_postern":3}]}})")
                ["requests"]
                    .size(),
            1u);
}

}  // namespace
}  // namespace postern::report
