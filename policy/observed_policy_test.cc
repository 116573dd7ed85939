#include "policy/observed_policy.h"

#include <gtest/gtest.h>

#include "policy/decision.h"
#include "policy/file/policy_file.h"

namespace postern::policy {
namespace {

TEST(ObservedPolicy, IsTheSmallestThatAllowsWhatWasSeen) {
  ObservedPolicy report;
  report.Add("GET", "https://a.test/x", true);
  report.Add("PUT", "https://a.test/x", true);
  report.Add("GET", "https://a.test/y", false);
  report.Add("GET", "https://a.test/a%00b", true);
  report.Add("CONNECT", "tcp://db.test:5432", true);
  report.Add("GET", "no url", true);
  EXPECT_EQ(report.ToYaml(), R"(version: 1
network:
  permission: allow
  rules:
    - {allow: "https://a.test", methods: [GET]}
    - {allow: "https://a.test", methods: [GET, PUT], paths: ["/x"]}
    - {allow: "tcp://db.test:5432"}
)");
}

TEST(ObservedPolicy, NothingSeenAllowsNothing) {
  const auto file = ParsePolicyFile(ObservedPolicy().ToYaml(), "p.yaml");
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->network.rules.empty());
}

TEST(ObservedPolicy, ManyPathsBecomeAnyPath) {
  ObservedPolicy report;
  for (int i = 0; i < 1000; ++i) report.Add("GET", "https://a.test/" + std::to_string(i), true);
  for (int i = 0; i < 3000; ++i)
    report.Add("GET", "https://h" + std::to_string(i) + ".test/", true);
  const auto file = ParsePolicyFile(report.ToYaml(), "p.yaml");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->network.rules.size(), 1000u);
  const Url url = *ParseUrl("https://a.test/unseen");
  EXPECT_TRUE(Decider(file->network).Decide({url, "GET", {}}).allow);
  EXPECT_NE(report.ToYaml().find("only the first 1000 are listed"), std::string::npos);
}

TEST(ObservedPolicy, AMethodThatNoRuleCanNameIsAnyMethod) {
  for (const char* method : {"patch", "Get", "!A", "*", "#", "-A"}) {
    ObservedPolicy report;
    report.Add(method, "https://a.test/x", true);
    report.Add("GET", "https://a.test/x", true);
    const auto file = ParsePolicyFile(report.ToYaml(), "p.yaml");
    ASSERT_TRUE(file) << report.ToYaml();
    const Url url = *ParseUrl("https://a.test/x");
    EXPECT_TRUE(Decider(file->network).Decide({url, method, {}}).allow) << method;
    EXPECT_TRUE(Decider(file->network).Decide({url, "GET", {}}).allow) << method;
  }
}

TEST(ObservedPolicy, LongPathsBecomeAnyPath) {
  ObservedPolicy report;
  const auto url = [](int i) {
    return "https://h" + std::to_string(i % 20) + ".test/" + std::string(3'900, 'p') +
           std::to_string(i);
  };
  for (int i = 0; i < 2'000; ++i) report.Add("GET", url(i), true);
  EXPECT_LT(report.ToYaml().size(), 2U << 20);
  const auto file = ParsePolicyFile(report.ToYaml(), "p.yaml");
  ASSERT_TRUE(file);
  const Decider decider(file->network);
  for (int i = 0; i < 2'000; ++i) {
    EXPECT_TRUE(decider.Decide({*ParseUrl(url(i)), "GET", {}}).allow) << i;
  }
}

}  // namespace
}  // namespace postern::policy
