#include "policy/rules/path.h"

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
  const auto matches = [&](const Segments& s) { return p->Matches(s, true); };
  return read.opaque || std::any_of(read.all.begin(), read.all.end(), matches) ||
         std::any_of(read.for_denies.begin(), read.for_denies.end(), matches);
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
  std::string pattern = "/";
  Segments path;
  for (int i = 0; i < 2000; ++i) {
    pattern += "**/a/";
    path.emplace_back("a");
  }
  EXPECT_FALSE(PathPattern::Parse(pattern + "b")->Matches(path, false));
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
                           "/%25%37%36%31/../v1/admin",
                           "/v1/admin%3Fx",
                           "/v1/admin%23x",
                           "/v1/admin%253Fx=1",
                           "/v1/admin.",
                           "/v1/admin..",
                           "/v1/admin%20",
                           "/v1/admin%20./keys",
                           "/v1./admin./x",
                           "/v1%20/admin",
                           "/v1/x/..%20/admin",
                           "/v1/%u0061dmin",
                           "/v1/%U0061dmin/keys",
                           "/v1%u002fadmin",
                           "/v1/%25u0061dmin",
                           "/v1/%u002e%u002e/v1/admin",
                           "/v1/admin::$DATA",
                           "/v1/admin:$i30:$INDEX_ALLOCATION/keys",
                           "/v1/admin%3a%3a$DATA",
                           "/v1/admin.json",
                           "/v1/admin+",
                           "/v1/admin+/keys",
                           "/v1/%EF%BD%81dmin",
                           "/v1%EF%BC%8Fadmin",
                           "/v1%E2%88%95admin",
                           "/x/%EF%BC%8E%EF%BC%8E/v1/admin",
                           "/v1/adm%C4%B1n",
                           "/v1/admin%C2%A0",
                           "/v1/ad%E2%80%8Bmin",
                           "/v1/.../admin",
                           "/v1/...;x/admin",
                           "/index.php/v1/admin/x",
                           "/index.php%2fv1%2fadmin",
                           "/(S(x))/v1/admin",
                           "/v1/(A(x)F(y))/admin",
                           "/x/%E2%80%A5/v1/admin",
                           "/x/%EF%B8%B0/v1/admin",
                           "/v1/x/..%C2%A5admin",
                           "/v1/.%20./admin"}) {
    EXPECT_TRUE(MatchAny("/v1/admin/**", path)) << path;
  }
}

TEST(PathReadings, WhatFollowsAScriptIsTheScripts) {
  EXPECT_TRUE(MatchAny("/admin.php", "/admin.php/x.css"));
  EXPECT_TRUE(MatchAny("/admin.php", "/admin%2ephp/x"));
  EXPECT_FALSE(MatchAny("/v1.2", "/v1.2/users"));
  EXPECT_FALSE(MatchAny("/admin/**", "/administrator.json"));
  EXPECT_FALSE(MatchAny("/admin/**", "/models/admin:generate"));
}

TEST(PathReadings, AnUnusualPathIsShort) {
  const std::string slashes = "//" + std::string(5000, 'a');
  EXPECT_TRUE(ReadPath(slashes).opaque);
  EXPECT_FALSE(ReadPath("/" + std::string(50'000, 'a')).opaque);
  const auto names = [](size_t n, const char* name) {
    std::string path;
    for (size_t i = 0; i < n; ++i) path += name;
    return ReadPath(path).opaque;
  };
  EXPECT_FALSE(names(256, "/a"));
  EXPECT_TRUE(names(257, "/a"));
  EXPECT_FALSE(names(32, "/%20a"));
  EXPECT_TRUE(names(33, "/%20a"));
}

TEST(PathReadings, AnAllowNeedsEveryReading) {
  for (const char* path :
       {"/v1/%2e%2e/admin", "/v1/public%2f..%2f..%2fadmin", "/v1/x\\..\\..\\admin",
        "/v1/public/..;/..;/admin", "/v1/%252e%252e/admin", "/v1/a%00", "/v1/%ff",
        "/v1/%25252525252e", "/v1/%u002e%u002e/admin", "/v1/..%20/admin", "/v1/.../admin",
        "/v1/%EF%BC%8E%EF%BC%8E/admin", "/v1/%E2%80%A5/admin", "/v1/..%C2%A5admin",
        "/v1/...;/admin", "/%76%31%3F"}) {
    EXPECT_FALSE(Match("/v1/**", path)) << path;
  }
  for (const char* path :
       {"/v1/a%20b", "/v1/a;b", "/v1/a%2Fb", "/v1//a", "/v1/%25", "/v1/100%25", "/v1/a.json",
        "/v1/a:b", "/v1/c++", "/v1/what%3F", "/v1/Inc.", "/v1/%E6%97%A5%E6%9C%AC", "/v1/a.php/b"}) {
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
