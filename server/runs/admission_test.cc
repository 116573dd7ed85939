#include "server/runs/admission.h"

#include <gtest/gtest.h>

namespace postern::server {
namespace {

using run_api::ApiProblem;

policy::PolicyFile Ceiling() {
  auto file = policy::ParsePolicyFile(R"(
version: 1
network: {permission: allow, rules: [{allow: https://api.example.com}]}
limits: {wall: 10s}
env: {LANG: C}
)",
                                      "server");
  EXPECT_TRUE(file) << file.error().message;
  return *std::move(file);
}

AdmittedRun Taken(const std::string& body) {
  auto parsed = AdmitRun(body, Ceiling());
  if (const auto* problem = std::get_if<ApiProblem>(&parsed)) {
    ADD_FAILURE() << body << ": " << problem->detail;
    return {};
  }
  return std::get<AdmittedRun>(std::move(parsed));
}

ApiProblem Refused(const std::string& body) {
  auto parsed = AdmitRun(body, Ceiling());
  if (const auto* problem = std::get_if<ApiProblem>(&parsed)) return *problem;
  ADD_FAILURE() << body << " was taken";
  return {};
}

TEST(Admission, CodeAlone) {
  const AdmittedRun run = Taken(R"({"code": "1"})");
  EXPECT_EQ(run.order.source, "1");
  EXPECT_EQ(run.order.url, "file:///app/[code]");
  EXPECT_EQ(run.order.cwd, "/app");
  EXPECT_TRUE(run.wait);
  EXPECT_TRUE(run.order.mounts.empty());
  EXPECT_EQ(run.policy.limits.wall, 10'000);
  EXPECT_EQ(run.policy.network.rules.size(), 1U);
  EXPECT_FALSE(run.policy.network.narrowed_by);
}

TEST(Admission, AModuleTree) {
  const AdmittedRun run = Taken(
      R"({"files": {"main.mjs": "import './lib/a.mjs'", "lib/a.mjs": {"base64": "MQ=="}, "/data/ x.json": "{}"},
          "entry": "main.mjs", "arguments": ["a", "b"], "env": {"A": "1", "LANG": "de"}, "cwd": "/data", "wait": false})");
  EXPECT_EQ(run.order.url, "file:///app/main.mjs");
  EXPECT_EQ(run.order.source, "import './lib/a.mjs'");
  EXPECT_EQ(run.order.files.at("/app/lib/a.mjs"), "1");
  EXPECT_EQ(run.order.files.at("/data/ x.json"), "{}");
  EXPECT_EQ(run.order.argv,
            (std::vector<std::string>{channel::kExecPath, "/app/main.mjs", "a", "b"}));
  EXPECT_EQ(run.policy.env, (std::map<std::string, std::string>{{"A", "1"}, {"LANG", "de"}}));
  EXPECT_EQ(run.order.cwd, "/data");
  EXPECT_FALSE(run.wait);
}

TEST(Admission, WhatIsSaidTwiceOrDifferentlyIsRefused) {
  const std::pair<const char*, const char*> all[] = {
      {R"({"code": "1", "code": "2"})", "\"code\" stands twice"},
      {R"({"code": "1", "env": {"A": "1", "A": "2"}})", "\"A\" stands twice"},
      {R"({"code": "1", "env": {"A": "1", "\u0041": "2"}})", "\"A\" stands twice"},
      {R"({"code": "1", "policy": {"network": {"permission": "deny", "permission": "allow"}}})",
       "\"permission\" stands twice"},
      {R"({"files": {"a": "1", "a": "2"}, "entry": "a"})", "\"a\" stands twice"},
      {R"({"files": {"a": "1", "/app/a": "2"}, "entry": "a"})", "stands twice"},
      {R"({"files": {"a": "1", "a/c": "2"}, "entry": "a"})",
       "/app/a is a file, and /app/a/c lies below it"},
      {R"({"files": {"a": "1", "a b": "", "a/x/c": "2"}, "entry": "a"})", "/app/a/x/c lies below"},
  };
  for (const auto& [body, said] : all) {
    const ApiProblem problem = Refused(body);
    EXPECT_EQ(problem.status, 400) << body;
    EXPECT_NE(problem.detail.find(said), std::string::npos) << body << ": " << problem.detail;
  }
  // The same key in two objects is none that stands twice.
  Taken(R"({"code": "1", "env": {"code": "1"}})");
  Taken(R"({"files": {"a": "1", "ab/c": "2", "a.b/c": "3"}, "entry": "a"})");
}

TEST(Admission, LimitsNarrowAndLeaveTheNetwork) {
  const AdmittedRun run = Taken(R"({"code": "1", "limits": {"wall": "1s", "memory": "32MiB"}})");
  EXPECT_EQ(run.policy.limits.wall, 1'000);
  EXPECT_EQ(run.policy.limits.memory, 32 << 20);
  EXPECT_TRUE(run.policy.network.permission);
  EXPECT_FALSE(run.policy.network.narrowed_by);
}

TEST(Admission, APolicyAsObjectOrText) {
  for (
      const char* policy :
      {R"({"network": {"permission": "allow", "rules": [{"allow": "https://api.example.com/v1"}]}})",
       R"("version: 1\nnetwork: {permission: allow, rules: [{allow: https://api.example.com/v1}]}")"}) {
    const AdmittedRun run = Taken(std::string(R"({"code": "1", "policy": )") + policy + "}");
    ASSERT_TRUE(run.policy.network.narrowed_by);
    EXPECT_EQ(run.policy.network.narrowed_by->rules.size(), 1U);
  }
}

TEST(Admission, CodeSaysInWhatItIsWritten) {
  EXPECT_EQ(Taken(R"({"code": "1", "ext": "ts"})").order.url, "file:///app/[code].ts");
  EXPECT_EQ(Taken(R"({"code": "1", "ext": "mjs", "eval": true, "cwd": "/d"})").order.url,
            "file:///d/[eval].mjs");
  EXPECT_EQ(Refused(R"({"code": "1", "ext": "py"})").detail,
            "ext is one of js, mjs, cjs, ts, mts, cts, tsx and jsx");
  EXPECT_EQ(Refused(R"({"files": {"a.mjs": ""}, "entry": "a.mjs", "ext": "ts"})").detail,
            "ext is for code");
}

TEST(Admission, ErrorsAreSentences) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "the body is no JSON"},
      {"{", "the body is no JSON"},
      {"[]", "the body must be a JSON object"},
      {"{}", "a run needs code, or files and the entry among them"},
      {R"({"code": 1})", "code must be a string"},
      {R"({"code": "1", "entry": "a.mjs"})", "a run has one of code and entry"},
      {R"({"entry": "a.mjs"})", "the entry /app/a.mjs is none of the files"},
      {R"({"code": "1", "files": []})", "files must be an object: path to content"},
      {R"({"code": "1", "files": {"../a": ""}})",
       "files: \"../a\" is no path of a file, as in \"main.mjs\" or \"/app/lib/a.mjs\""},
      {R"({"code": "1", "files": {"a": 1}})",
       "files: what a holds must be a string, or {\"base64\": …}"},
      {R"({"code": "1", "files": {"a": {"base64": "*"}}})", "files: what a holds is no base64"},
      {R"({"code": "1", "files": {"a": "", "/app/a": ""}})", "files: a stands twice"},
      {R"({"code": "1", "env": {"A=": "x"}})",
       "env: a variable's name is not empty and has no \"=\""},
      {R"({"code": "1", "wait": 1})", "wait must be true or false"},
      {R"({"code": "1", "arguments": "x"})", "arguments must be a list of strings"},
      {R"({"code": "1", "policy": 1})", "policy must be an object, or the text of a policy file"},
      {R"({"code": "1", "policy": {"limits": {}}, "limits": {}})",
       "limits stand twice, in the policy and beside it"},
      {R"({"entry": "a", "files": {"a": ""}, "eval": true})", "eval is for code"}};
  for (const auto& [body, detail] : cases) {
    const ApiProblem problem = Refused(body);
    EXPECT_EQ(problem.detail, detail) << body;
    EXPECT_EQ(problem.status, 400);
    EXPECT_EQ(problem.code, "bad_request");
  }
  EXPECT_TRUE(
      Refused(R"({"code": "1", "wiat": true})")
          .detail.starts_with("there is no field \"wiat\"; the fields are code, ext, files, "));
}

TEST(Admission, BadPoliciesAndWiderOnes) {
  const ApiProblem bad = Refused(R"({"code": "1", "policy": {"netwrok": {}}})");
  EXPECT_EQ(bad.code, "bad_policy");
  EXPECT_TRUE(bad.detail.starts_with("policy:2:")) << bad.detail;
  const ApiProblem wider = Refused(R"({"code": "1", "limits": {"wall": "11s"}})");
  EXPECT_EQ(wider.status, 403);
  EXPECT_EQ(wider.code, "policy_exceeds_server");
  EXPECT_EQ(wider.detail, "limits: wall goes beyond the server's policy");
}

TEST(Admission, DepthAndSizeAreBounded) {
  EXPECT_EQ(Refused(std::string(100'000, '[')).detail, "the body is nested too deeply");
  EXPECT_EQ(Refused(R"({"code": ")" + std::string(1000, '[') + "\"").detail, "the body is no JSON");
  std::string many = R"({"code": "1", "files": {)";
  for (int i = 0; i < 10'001; ++i) many += "\"f" + std::to_string(i) + "\": \"\",";
  many.back() = '}';
  EXPECT_EQ(Refused(many + "}").detail, "files: more than 10000 are too many");
}

}  // namespace
}  // namespace postern::server
