#include "policy/file/narrow.h"

#include <gtest/gtest.h>

#include "policy/decision.h"

namespace postern::policy {
namespace {

constexpr char kCeiling[] = R"(
version: 1
network:
  permission: allow
  rules:
    - allow: https://api.example.com
      methods: [GET, POST]
      paths: [/v1/**, /static/*/list]
      headers: {x-from: server}
    - allow: "*.example.org:443"
    - allow: http://10.1.0.0/16
    - allow: tcp://db.example.net:5432
    - deny: https://api.example.com/v1/admin/**
  limits: {concurrent: 8, rate: 100/s, headers_timeout: 5s, min_bytes: 10}
limits: {wall: 30s, memory: 64MiB, timer_resolution: 200us}
env: {LANG: C}
)";

PolicyFile Parse(const std::string& text, const PolicyFile& base = {}) {
  auto file = ParsePolicyFile(text, "test", base);
  EXPECT_TRUE(file) << file.error().message;
  return *std::move(file);
}

Result<PolicyFile> Asked(const std::string& rest) {
  const PolicyFile ceiling = Parse(kCeiling);
  return Narrow(ceiling, Parse("version: 1\n" + rest, ceiling));
}
Result<PolicyFile> WithRule(const std::string& rule) {
  return Asked("network: {permission: allow, rules: [" + rule + "]}");
}

std::string Verdict(const PolicyFile& file, const std::string& method, const std::string& text) {
  // As a broker has it: by way of JSON.
  const auto policy = FromJson(ToJson(file.network));
  EXPECT_TRUE(policy);
  const auto url = ParseUrl(text);
  EXPECT_TRUE(url);
  const Decision d = Decider(*policy).Decide({*url, method, {}});
  return d.allow ? "allow" : d.Sentence();
}

TEST(Narrow, ARuleWithinTheCeilingIsTakenAndNoOtherPlaceIsReached) {
  const auto p = WithRule("{allow: \"https://api.example.com/v1/users/*\", methods: [GET]}");
  ASSERT_TRUE(p) << p.error().message;
  EXPECT_EQ(Verdict(*p, "GET", "https://api.example.com/v1/users/7"), "allow");
  EXPECT_EQ(Verdict(*p, "POST", "https://api.example.com/v1/users/7"),
            "network access to api.example.com:443 is denied: the rule "
            "\"https://api.example.com/v1/users/*\" (test:2:38) allows GET only, not POST, in this "
            "run's own policy; allow it there");
  EXPECT_NE(Verdict(*p, "GET", "https://api.example.com/v1/other"), "allow");
  EXPECT_NE(Verdict(*p, "GET", "https://a.example.org/"), "allow");
}

TEST(Narrow, WhatARuleLeavesOutIsTheCeilings) {
  const auto p = WithRule("{allow: api.example.com}");
  ASSERT_TRUE(p) << p.error().message;
  EXPECT_EQ(Verdict(*p, "GET", "https://api.example.com/v1/x"), "allow");
  EXPECT_NE(Verdict(*p, "PUT", "https://api.example.com/v1/x"), "allow");
  EXPECT_NE(Verdict(*p, "GET", "http://api.example.com/v1/x"), "allow");
  EXPECT_NE(Verdict(*p, "GET", "https://api.example.com/v1/admin/x"), "allow");
  EXPECT_EQ(p->network.rules[0].headers.size(), 1U);
}

TEST(Narrow, WithoutANetworkSectionThereIsNoNetwork) {
  const auto p = Asked("limits: {wall: 1s}");
  ASSERT_TRUE(p);
  EXPECT_NE(Verdict(*p, "GET", "https://api.example.com/v1/x"), "allow");
  EXPECT_EQ(p->limits.wall, 1000);
  EXPECT_EQ(p->limits.memory, 64 << 20);  // the ceiling's
  EXPECT_EQ(p->network.limits.concurrent, 8);
}

TEST(Narrow, ADenyMayBeAnything) {
  const auto p = WithRule("{allow: \"*.example.org\"}, {deny: a.example.org}");
  ASSERT_TRUE(p) << p.error().message;
  EXPECT_EQ(Verdict(*p, "GET", "https://b.example.org/"), "allow");
  EXPECT_NE(Verdict(*p, "GET", "https://a.example.org/"), "allow");
}

TEST(Narrow, TakesWhatLiesWithin) {
  for (const char* rule :
       {"{allow: \"https://api.example.com\", paths: [/v1/a, /v1/**, /v1/*/b]}",
        "{allow: \"https://api.example.com/static/x/list\"}",
        "{allow: \"https://api.example.com/static/*/list\"}", "{allow: \"*.a.example.org\"}",
        "{allow: \"*.example.org:443\"}", "{allow: b.example.org}", "{allow: \"10.1.2.0/24\"}",
        "{allow: \"10.1.2.3\"}", "{allow: \"tcp://db.example.net:5432\"}"}) {
    EXPECT_TRUE(WithRule(rule)) << rule << WithRule(rule).error().message;
  }
}

TEST(Narrow, RefusesWhatGoesBeyond) {
  for (const char* rule :
       {"{allow: \"*\"}", "{allow: \"https://evil.test\"}", "{allow: example.org}",
        "{allow: \"*.org\"}", "{allow: \"http://api.example.com\"}",
        "{allow: \"https://api.example.com:8443\", paths: [/]}",
        "{allow: \"https://api.example.com\", methods: [GET, DELETE]}",
        "{allow: \"https://api.example.com/**\"}", "{allow: \"https://api.example.com/v2/x\"}",
        "{allow: \"https://api.example.com/static/**/list\"}",
        "{allow: \"https://api.example.com/static/x*/**\"}", "{allow: \"a.example.org:80\"}",
        "{allow: \"10.0.0.0/8\"}", "{allow: \"10.2.0.1\"}",
        "{allow: \"tcp://db.example.net:5433\"}", "{allow: \"tcp://a.example.org:443\"}"}) {
    const auto p = WithRule(rule);
    ASSERT_FALSE(p) << rule;
    EXPECT_TRUE(p.error().message.ends_with("allows more than the server's policy does"))
        << p.error().message;
  }
}

TEST(Narrow, RefusesWhatOnlyTheServerCanSay) {
  for (const char* text :
       {"secrets: {A: {env: A}}", "audit: {file: /x}", "mounts: [{host: /etc, guest: /etc}]",
        "network: {adapter: {proxy: \"http://p:1\"}}", "network: {mode: report}",
        "network: {dns: {servers: [1.1.1.1]}}"}) {
    const auto p = Asked(text);
    ASSERT_FALSE(p) << text;
    EXPECT_TRUE(p.error().message.ends_with("can only be in the server's policy"));
  }
  for (const char* rule : {"{allow: \"a.example.org\", headers: {x: y}}",
                           "{allow: \"a.example.org\", addresses: [10.0.0.0/8]}"}) {
    ASSERT_FALSE(WithRule(rule)) << rule;
    EXPECT_TRUE(WithRule(rule).error().message.ends_with("only the server's policy can have"));
  }
}

TEST(Narrow, LimitsOnlyShrink) {
  EXPECT_TRUE(Asked("limits: {wall: 30s, memory: 32MiB, timer_resolution: 1ms}"));
  EXPECT_TRUE(Asked("network: {limits: {concurrent: 8, rate: 50/s, min_bytes: 20}}"));
  EXPECT_TRUE(Asked("network: {limits: {rate: 100/m}}"));
  for (const char* text :
       {"limits: {wall: 31s}", "limits: {memory: 65MiB}", "limits: {timer_resolution: 100us}",
        "network: {limits: {concurrent: 9}}", "network: {limits: {rate: 101/s}}",
        "network: {limits: {headers_timeout: 6s}}", "network: {limits: {min_bytes: 9}}"}) {
    const auto p = Asked(text);
    ASSERT_FALSE(p) << text;
    EXPECT_TRUE(p.error().message.ends_with("goes beyond the server's policy"));
  }
}

TEST(Narrow, NoneIsTheOneAdapterAndVariablesAreTheRuns) {
  const auto p = Asked("network: {permission: allow, adapter: none}\nenv: {A: b, LANG: de}");
  ASSERT_TRUE(p);
  EXPECT_EQ(p->network.adapter.kind, AdapterKind::kNone);
  EXPECT_EQ(p->env.at("A"), "b");
  EXPECT_EQ(p->env.at("LANG"), "de");
}

}  // namespace
}  // namespace postern::policy
