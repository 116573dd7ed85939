#include "policy/secrets/placeholder.h"

#include <gtest/gtest.h>

#include "policy/secrets/stream_replacer.h"

namespace postern::policy {
namespace {

const std::map<std::string, std::string> kSecrets = {{"KEY", "s3cr/et+va \"lue\xc3\xbc"},
                                                     {"KEY_2", "another-secret"}};

TEST(Secrets, PlaceholdersBecomeValues) {
  EXPECT_EQ(SubstituteSecrets("Bearer postern-secret-KEY_2-!", kSecrets, {"KEY", "KEY_2"}, true),
            "Bearer another-secret!");
  EXPECT_EQ(SubstituteSecrets("postern-secret-KEY_2-", kSecrets, {"KEY"}, true),
            "postern-secret-KEY_2-");
  // "user:postern-secret-KEY_2-" and "user:another-secret"
  EXPECT_EQ(
      SubstituteSecrets("Basic dXNlcjpwb3N0ZXJuLXNlY3JldC1LRVlfMi0=", kSecrets, {"KEY_2"}, true),
      "Basic dXNlcjphbm90aGVyLXNlY3JldA==");
  EXPECT_EQ(ExpandSecrets("Bearer ${secret:KEY_2}", kSecrets), "Bearer another-secret");
}

TEST(Secrets, ChunksOfAnUploadMakeNoDifference) {
  const std::vector<Spelling> spellings = {{Placeholder("KEY_2"), kSecrets.at("KEY_2")}};
  std::string text = "begin ";
  for (int i = 0; i < 50; ++i) {
    text += std::string(static_cast<size_t>(i), '.') + Placeholder("KEY_2") + "postern-secre" +
            Placeholder("KEY_2");
  }
  const auto replaced = [&](size_t piece) {
    StreamReplacer replacer(spellings);
    std::string out;
    for (size_t at = 0; at < text.size(); at += piece) replacer.Feed(text.substr(at, piece), out);
    replacer.Flush(out);
    return out;
  };
  const std::string whole = replaced(text.size());
  EXPECT_EQ(whole.find("postern-secret-"), std::string::npos);
  for (size_t piece = 1; piece < 70; ++piece) EXPECT_EQ(replaced(piece), whole) << piece;
}

}  // namespace
}  // namespace postern::policy
