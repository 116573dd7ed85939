#include "broker/net/outgoing.h"

#include <gtest/gtest.h>

#include "policy/secrets/placeholder.h"

namespace postern::broker {
namespace {

using channel::FindField;

class OutgoingTest : public testing::Test {
 protected:
  OutgoingTest() {
    policy_.secrets = {{"KEY", "correct horse&battery"}};
    rule_.secrets = {"KEY"};
    rule_.secret_places = {};
    rule_.secret_places.headers = true;
    SetUrl("http://a.test/x");
  }
  void SetUrl(const std::string& url) { target_.url = *policy::ParseUrl(url); }
  OutgoingRequest Request(bool secret_host = false, bool recorded = false) const {
    return {target_, fields_, policy_, &rule_, secret_host, recorded};
  }

  const std::string placeholder_ = policy::Placeholder("KEY");
  RequestTarget target_{RequestKind::kHttp, "GET", {}, false};
  channel::Fields fields_;
  policy::Policy policy_;
  policy::Rule rule_;
};

TEST_F(OutgoingTest, TheUrlNamesThePort) {
  EXPECT_EQ(Request().Url(), "http://a.test:80/x");
  SetUrl("http://[::1]:8080/?q");
  EXPECT_EQ(Request().Url(), "http://[::1]:8080/?q");
}

TEST_F(OutgoingTest, SecretsGoWhereTheRuleSays) {
  SetUrl("http://a.test/?k=" + placeholder_);
  fields_ = {{"authorization", "Bearer " + placeholder_}, {"content-type", "application/json"}};
  EXPECT_NE(Request().Url().find(placeholder_), std::string::npos);
  EXPECT_EQ(*FindField(Request().Fields(""), "authorization"), "Bearer correct horse&battery");
  EXPECT_TRUE(Request().BodySecrets().empty());
  rule_.secret_places.query = rule_.secret_places.body = true;
  rule_.secret_places.headers = false;
  EXPECT_NE(Request().Url().find("correct%20horse%26battery"), std::string::npos);
  EXPECT_EQ(*FindField(Request().Fields(""), "authorization"), "Bearer " + placeholder_);
  EXPECT_EQ(Request().BodySecrets().size(), 1u);
}

TEST_F(OutgoingTest, WhatBelongsToTheConnectionStays) {
  fields_ = {{":method", "GET"},    {"host", "b.test"},
             {"connection", "x"},   {"te", "trailers"},
             {"postern-raw", "on"}, {"content-length", "1"},
             {"accept", "*/*"},     {"proxy-authorization", "Basic x"}};
  EXPECT_EQ(Request().Fields(""), (channel::Fields{{"accept", "*/*"}}));
}

TEST_F(OutgoingTest, ARulesOwnFieldsTakeThePlaceOfTheGuests) {
  rule_.headers = {{"x-key", "is ${secret:KEY}"}};
  fields_ = {{"x-key", "mine"}, {"a", "b"}};
  EXPECT_EQ(Request().Fields(""),
            (channel::Fields{{"a", "b"}, {"x-key", "is correct horse&battery"}}));
}

TEST_F(OutgoingTest, WhatIsFilteredOrRecordedIsNotCoded) {
  fields_ = {{"accept-encoding", "gzip"}, {"range", "bytes=0-1"}, {"accept-encoding", "br"}};
  EXPECT_EQ(*FindField(Request().Fields(""), "accept-encoding"), "gzip, br");
  EXPECT_EQ(*FindField(Request(false, true).Fields(""), "accept-encoding"), "identity");
  const channel::Fields filtered = Request(true).Fields("");
  EXPECT_EQ(*FindField(filtered, "accept-encoding"), "identity");
  EXPECT_EQ(FindField(filtered, "range"), nullptr);
}

TEST_F(OutgoingTest, ATracedRequestCarriesTheRunsContext) {
  policy_.trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  fields_ = {{"traceparent", "mine"}, {"tracestate", "mine"}};
  EXPECT_FALSE(Request().IsTraced());
  EXPECT_EQ(*FindField(Request().Fields("12345678"), "traceparent"), "mine");
  rule_.trace = true;
  const channel::Fields fields = Request().Fields("12345678");
  EXPECT_EQ(*FindField(fields, "traceparent"),
            "00-0af7651916cd43dd8448eb211c80319c-3132333435363738-01");
  EXPECT_EQ(FindField(fields, "tracestate"), nullptr);
}

TEST_F(OutgoingTest, AHeadWithSecretsHasBounds) {
  const auto refused = [&] {
    const auto failure = CheckSecretsInHead(target_.url, fields_, &rule_);
    return failure ? failure->code : "";
  };
  fields_ = {{"a", std::string(40'000, 'x')}};
  EXPECT_EQ(refused(), "");  // without placeholders it is no concern of this
  fields_.push_back({"b", placeholder_});
  EXPECT_EQ(refused(), "ERR_LIMIT");
  fields_ = {{"cookie", placeholder_ + "=1"}};
  EXPECT_EQ(refused(), "ERR_SECRET_NAME");
  fields_ = {{"cookie", "a=" + placeholder_}};
  EXPECT_EQ(refused(), "");
  fields_.clear();
  for (int i = 0; i < 9; ++i) fields_.push_back({"a", placeholder_});
  EXPECT_EQ(refused(), "ERR_LIMIT");
}

}  // namespace
}  // namespace postern::broker
