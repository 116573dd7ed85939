// What a client's policy may be: its bounds hold at their edges, and no text within them takes long
// to read.
#include <gtest/gtest.h>
#include <time.h>

#include "policy/file/policy_file.h"

namespace postern::policy {
namespace {

std::string Problem(const std::string& text, const PolicyBounds& bounds = kClientPolicy) {
  const auto file = ParsePolicyFile(text, "p", {}, bounds);
  return file ? "" : file.error().message;
}

bool Says(const std::string& problem, const std::string& what) {
  return problem.find(what) != std::string::npos;
}

std::string Env(size_t keys) {
  std::string text = "version: 1\nenv:\n";
  for (size_t i = 0; i < keys; ++i) text += "  k" + std::to_string(i) + ": v\n";
  return text;
}

TEST(PolicyBounds, AClientSPolicyHasThem) {
  // The policy, version, 1, env and its mapping are values too.
  EXPECT_EQ(Problem(Env((kClientPolicy.values - 5) / 2)), "");
  EXPECT_TRUE(Says(Problem(Env(kClientPolicy.values / 2)), "at most 5000 values"));
  EXPECT_TRUE(Says(Problem("version: 1\n" + std::string(kClientPolicy.bytes, '#')), "bytes"));
  EXPECT_TRUE(Says(Problem("version: 1\nenv: " + std::string(40, '[')), "32 levels deep"));
  for (const char* text : {"version: &a 1", "version: 1\nenv: {A: &a b}", "version: 1\nenv: &a {}",
                           "version: 1\nenv: {&k K: v}", "version: 1\nnetwork: &n {rules: [*n]}"})
    EXPECT_TRUE(Says(Problem(text), "no anchors")) << text;
}

TEST(PolicyBounds, OnesOwnMayHaveAnchorsAndMore) {
  EXPECT_EQ(Problem("version: 1\nenv: {A: &a b, B: *a}", kOwnPolicy), "");
  EXPECT_EQ(Problem(Env(60'000), kOwnPolicy), "");
}

TEST(PolicyBounds, NoTextWithinThemTakesLong) {
  const size_t most = kClientPolicy.bytes - 100;
  std::vector<std::string> texts;
  for (const char* unit : {"? ",       ": ",
                           "- ",       "-\n",
                           "[",        "{",
                           ",",        "[,",
                           "{a: ",     "a: b, ",
                           "\n",       "# ",
                           "#\n",      "\"",
                           "'",        "\\",
                           "| ",       ">\n",
                           "|\n",      "%a\n",
                           "---\n",    "...\n",
                           "!",        "!a ",
                           "!<a> ",    "&",
                           "&a ",      "*",
                           "*a ",      "a",
                           "a ",       "a\n",
                           "a:",       " ",
                           "\t",       "\r",
                           "\r\n",     "@",
                           "`",        "\xef\xbb\xbf",
                           "\x80",     "\xe2\x80\xa8",
                           "  - ",     "a: [b, ",
                           "'a\n",     "\"\\x41",
                           "? [a]\n: "}) {
    std::string units;
    while (units.size() < most) units += unit;
    units.resize(most);
    texts.push_back(units);
    texts.push_back("version: 1\nenv: {A: \"" + units);
    texts.push_back("version: 1\nenv: " + units);
    texts.push_back("version: 1\nenv:\n  A: |\n    " + units);
  }
  std::string steps = "version: 1\nenv:\n";
  for (size_t i = 1; steps.size() < most; ++i) steps += std::string(i, ' ') + "a:\n";
  steps.resize(most);
  texts.push_back(steps);
  for (const std::string& text : texts) {
    const clock_t before = ::clock();
    (void)Problem(text.substr(0, kClientPolicy.bytes));
    EXPECT_LT(::clock() - before, 2 * CLOCKS_PER_SEC) << text.substr(0, 40);
  }
}

}  // namespace
}  // namespace postern::policy
