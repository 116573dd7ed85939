// Each policy of testdata/malformed.txt is refused, with a message that begins as the line before
// it says: what YAML itself forbids is told in yaml-cpp's words, to which a newer version adds.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "policy/file/policy_file.h"

namespace postern::policy {
namespace {

struct Case {
  std::string message, yaml;
};

// "=== MESSAGE", then the policy, up to the next such line.
std::vector<Case> ReadCases(const std::string& path) {
  std::ifstream file(path);
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("=== ")) {
      cases.push_back({line.substr(4), {}});
    } else {
      cases.back().yaml += line + "\n";
    }
  }
  return cases;
}

TEST(MalformedPolicy, EachIsRefusedWithItsMessage) {
  const auto cases = ReadCases(POSTERN_SOURCE_DIR "/policy/file/testdata/malformed.txt");
  EXPECT_GE(cases.size(), 200u);
  for (const Case& c : cases) {
    const auto file = ParsePolicyFile(c.yaml, "p.yaml");
    const std::string message = file ? "accepted" : file.error().message;
    EXPECT_TRUE(message.starts_with(c.message)) << message << "\n" << c.message << "\n" << c.yaml;
  }
}

TEST(MalformedPolicy, HugeOrDeepOnesAreRefused) {
  EXPECT_FALSE(ParsePolicyFile(std::string(5 << 20, '#'), "p.yaml"));
  EXPECT_FALSE(ParsePolicyFile("version: 1\nnetwork: " + std::string(100'000, '['), "p.yaml"));
  EXPECT_FALSE(ParsePolicyFile("version: 1\nnetwork: " + std::string(100'000, '{'), "p.yaml"));
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string before(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [*" + before + ", *" + before + ", *" + before +
            ", *" + before + ", *" + before + ", *" + before + "]\n";
  }
  EXPECT_FALSE(ParsePolicyFile(bomb, "p.yaml"));
  EXPECT_FALSE(ParsePolicyFile("version: 1\nnetwork: &n {rules: [*n]}\n", "p.yaml"));
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = std::string("version: 1\nenv: {A: ") + static_cast<char>(byte);
    EXPECT_FALSE(ParsePolicyFile(text, "p.yaml"));
  }
}

}  // namespace
}  // namespace postern::policy
