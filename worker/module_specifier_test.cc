#include "worker/module_specifier.h"

#include <gtest/gtest.h>

namespace postern::worker {
namespace {

const std::string kImporter = "file:///app/src/main.mjs";

std::string Resolved(const std::string& specifier) {
  const auto result = ResolveSpecifier(specifier, kImporter);
  const auto* url = std::get_if<std::string>(&result);
  return url != nullptr ? *url : std::get<ModuleError>(result).code;
}

TEST(ModuleSpecifier, PathsAndFileUrls) {
  EXPECT_EQ(Resolved("./a.mjs"), "file:///app/src/a.mjs");
  EXPECT_EQ(Resolved("../a.mjs?v=1#x"), "file:///app/a.mjs?v=1#x");
  EXPECT_EQ(Resolved("../../../../a.mjs"), "file:///a.mjs");
  EXPECT_EQ(Resolved("/etc/passwd"), "file:///etc/passwd");
  EXPECT_EQ(Resolved("."), "file:///app/src/");
  EXPECT_EQ(Resolved("./a b.mjs"), "file:///app/src/a%20b.mjs");
  EXPECT_EQ(Resolved("file:///x/../y.mjs"), "file:///y.mjs");
  EXPECT_EQ(Resolved("postern:sockets"), "postern:sockets");
}

TEST(ModuleSpecifier, DotsGoWhereverTheyStand) {
  EXPECT_EQ(Resolved("/.x/../y.mjs"), "file:///y.mjs");
  EXPECT_EQ(Resolved("./.x/./.y/../../z.mjs"), "file:///app/src/z.mjs");
  EXPECT_EQ(Resolved("/.x/.y/.."), "file:///.x/");
}

TEST(ModuleSpecifier, WhatIsNoFile) {
  EXPECT_EQ(Resolved("//host/a.mjs"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("file://host/a.mjs"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("./a%2fb.mjs"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("./a%2Fb.mjs"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("./a.mjs%00.json"), "ERR_INVALID_MODULE_SPECIFIER");
  EXPECT_EQ(Resolved("node:fs"), "ERR_UNKNOWN_BUILTIN_MODULE");
  EXPECT_EQ(Resolved("https://example.com/a.mjs"), "ERR_UNSUPPORTED_ESM_URL_SCHEME");
  EXPECT_EQ(Resolved("data:text/javascript,1"), "ERR_UNSUPPORTED_ESM_URL_SCHEME");
  EXPECT_EQ(Resolved("lodash"), "ERR_MODULE_NOT_FOUND");
  EXPECT_EQ(Resolved(""), "ERR_MODULE_NOT_FOUND");
}

TEST(ModuleSpecifier, Paths) {
  EXPECT_EQ(PathOfUrl("file:///a/%C3%A4%20b.mjs?q#h"), "/a/\u00e4 b.mjs");
  EXPECT_EQ(PathOfUrl("file:///a%252f"), "/a%2f");
  EXPECT_EQ(PathOfUrl("https://example.com/a"), "");
  EXPECT_EQ(PathOfUrl("nonsense"), "");
}

}  // namespace
}  // namespace postern::worker
