#include "policy/path.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace postern::policy {
namespace {

bool Match(const char* pattern, const char* path, bool ignore_case = false) {
  const auto p = PathPattern::Parse(pattern);
  EXPECT_TRUE(p) << pattern;
  const PathReadings read = ReadPath(path);
  return !read.opaque && std::all_of(read.all.begin(), read.all.end(),
                                     [&](const Segments& s) { return p->Matches(s, ignore_case); });
}

bool MatchAny(const char* pattern, const char* path) {
  const auto p = PathPattern::Parse(pattern);
  const PathReadings read = ReadPath(path);
  return read.opaque || std::any_of(read.all.begin(), read.all.end(),
                                    [&](const Segments& s) { return p->Matches(s, true); });
}

TEST(PathPattern, StarsWithinAndAcrossSegments) {
  EXPECT_TRUE(Match("/", "/"));
  EXPECT_FALSE(Match("/", "/a"));
  EXPECT_TRUE(Match("/**", "/"));
  EXPECT_TRUE(Match("/**", "/a/b/c"));
  EXPECT_TRUE(Match("/v1/*", "/v1/users"));
  EXPECT_FALSE(Match("/v1/*", "/v1/users/7"));
  EXPECT_FALSE(Match("/v1/*", "/v1"));
  EXPECT_TRUE(Match("/v1/**", "/v1"));
  EXPECT_TRUE(Match("/v1/**", "/v1/"));
  EXPECT_TRUE(Match("/v1/**/edit", "/v1/a/b/edit"));
  EXPECT_TRUE(Match("/v1/**/edit", "/v1/edit"));
  EXPECT_FALSE(Match("/v1/**/edit", "/v1/edit/x"));
  EXPECT_TRUE(Match("/**/a/**/b", "/x/a/a/y/b/b"));
  EXPECT_TRUE(Match("/files/*.json", "/files/a.b.json"));
  EXPECT_FALSE(Match("/files/*.json", "/files/a.jsonp"));
  EXPECT_TRUE(Match("/a*b*c", "/aXbXbc"));
  EXPECT_FALSE(Match("/a*b*c", "/aXc"));
  EXPECT_FALSE(Match("/ab*ba", "/aba"));
  EXPECT_TRUE(Match("/%C3%BC/*", "/%c3%bc/x"));
  EXPECT_TRUE(Match("/a%2Ab", "/a*b"));
  EXPECT_FALSE(Match("/a%2Ab", "/aXb"));
  EXPECT_FALSE(Match("/v1", "/V1"));
  EXPECT_TRUE(Match("/v1", "/V1", true));
}

TEST(PathPattern, ManyStarsTakeNoLongTime) {
  std::string pattern = "/", path = "/";
  for (int i = 0; i < 2000; ++i) pattern += "**/a/", path += "a/";
  EXPECT_FALSE(Match((pattern + "b").c_str(), path.c_str()));
}

// Every way to write /v1/admin/keys that some server understands.
TEST(PathReadings, NoSpellingSlipsPastADeny) {
  for (const char* path : {"/v1/admin",
                           "/v1/admin/",
                           "/v1/admin/keys",
                           "/v1/ADMIN/keys",
                           "//v1//admin//keys",
                           "/v1/x/../admin/keys",
                           "/v1/x/%2e%2e/admin/keys",
                           "/v1/x/.%2E/admin",
                           "/v1/./admin",
                           "/v1%2fadmin%2Fkeys",
                           "/v1%252fadmin",
                           "/v1%25252fadmin/keys",
                           "/v1/%61dmin/keys",
                           "/v1/%2561dmin",
                           "/v1\\admin\\keys",
                           "/v1%5Cadmin",
                           "/v1%255cadmin",
                           "/v1/admin;x=1/keys",
                           "/v1;a/admin;b/keys;c",
                           "/v1/admin%3bx",
                           "/v1/x%2f..%2fadmin",
                           "/v1/x%2f%2e%2e/admin",
                           "/x/..;/v1/admin",
                           "/v1/..%2fv1/admin",
                           "/v1/admin%00.png",
                           "/v1/admin%0a",
                           "/v1/%c0%afadmin",
                           "/v1/%c1%a1dmin",
                           "/v1%2f%2fadmin",
                           "/%76%31/admin",
                           "/v1/%e0%80%afadmin",
                           "/v1/x/y/../../admin",
                           "/v1/%5c../v1/admin",
                           "/v1/.%5cadmin",
                           "/..%5cv1/admin",
                           "/v1/%252e%252e/v1/admin",
                           "/v1/%25%32%65%2e/v1/admin",
                           "/%25%37%36%31/../v1/admin"}) {
    EXPECT_TRUE(MatchAny("/v1/admin/**", path)) << path;
  }
}

TEST(PathReadings, AnAllowNeedsEveryReading) {
  for (const char* path : {"/v1/%2e%2e/admin", "/v1/public%2f..%2f..%2fadmin",
                           "/v1/x\\..\\..\\admin", "/v1/public/..;/..;/admin",
                           "/v1/%252e%252e/admin", "/v1/a%00", "/v1/%ff", "/v1/%25252525252e"}) {
    EXPECT_FALSE(Match("/v1/**", path)) << path;
  }
  for (const char* path :
       {"/v1/a%20b", "/v1/a;b", "/v1/a%2Fb", "/v1//a", "/v1/%25", "/v1/100%25"}) {
    EXPECT_TRUE(Match("/v1/**", path)) << path;
  }
  EXPECT_FALSE(Match("/v1/*", "/v1/a%2Fb"));
}

TEST(PathReadings, AnOrdinaryPathIsReadOnce) {
  EXPECT_EQ(ReadPath("/a/b.c/d").all.size(), 1u);
  EXPECT_EQ(ReadPath("/").all.size(), 1u);
}

}  // namespace
}  // namespace postern::policy
