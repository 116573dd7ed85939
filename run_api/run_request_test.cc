#include "run_api/run_request.h"

#include <gtest/gtest.h>

namespace postern::run_api {
namespace {

// What is written is what is read.
void ExpectSame(const RunRequest& request) {
  const auto read = ParseRunRequest(ToJson(request));
  const auto* same = std::get_if<RunRequest>(&read);
  ASSERT_NE(same, nullptr) << std::get<ApiProblem>(read).detail;
  EXPECT_TRUE(*same == request) << ToJson(*same) << "\n" << ToJson(request);
}

TEST(RunRequest, CodeWithAllThatItMayHave) {
  ExpectSame({.code = "6 * 7"});
  ExpectSame({.code = "",
              .extension = "ts",
              .eval = true,
              .print = true,
              .arguments = {"a", "", "\"b\""},
              .env = {{"A", "1"}, {"EMPTY", ""}},
              .cwd = "/data",
              .policy = {{"version", 1}},
              .limits = {{"wall", "1s"}},
              .mounts = {{"/data", true}, {"", false}},
              .input_comes = true,
              .console_events = false,
              .wait = false});
  ExpectSame({.code = "1", .policy = "version: 1", .input = std::string("a\0\xff", 3)});
}

TEST(RunRequest, FilesKeepTheirBytes) {
  ExpectSame({.entry = "/app/main.mjs",
              .files = {{"/app/main.mjs", "import './a.bin'"}, {"/app/a.bin", "\xff\xfe"}}});
}

TEST(RunRequest, WhatDoesNotGoTogetherIsRefused) {
  for (const std::string body :
       {R"({})", R"({"code": "1", "entry": "a.mjs"})", R"({"entry": "a.mjs"})",
        R"({"entry": "a.mjs", "files": {"a.mjs": ""}, "eval": true})"}) {
    const auto read = ParseRunRequest(body);
    const auto* problem = std::get_if<ApiProblem>(&read);
    ASSERT_NE(problem, nullptr) << body;
    EXPECT_EQ(problem->status, 400);
    EXPECT_FALSE(problem->detail.empty());
  }
}

}  // namespace
}  // namespace postern::run_api
