#include "policy/secret_text.h"

#include <gtest/gtest.h>

namespace postern::policy {
namespace {

const std::map<std::string, std::string> kSecrets = {{"KEY", "s3cr/et+va \"lue\xc3\xbc"},
                                                     {"KEY_2", "another-secret"}};

std::string Filtered(std::string_view text, size_t piece = 0) {
  std::vector<Spelling> all;
  for (const auto& [name, value] : kSecrets) {
    for (Spelling& s : Spellings(name, value)) all.push_back(std::move(s));
  }
  if (piece == 0) return ReplaceAll(text, all);
  StreamReplacer replacer(all);
  std::string out;
  for (size_t at = 0; at < text.size(); at += piece) replacer.Feed(text.substr(at, piece), out);
  replacer.Flush(out);
  return out;
}

TEST(Secrets, PlaceholdersBecomeValues) {
  EXPECT_EQ(PutSecretsIn("Bearer postern-secret-KEY_2-!", kSecrets, {"KEY", "KEY_2"}, true),
            "Bearer another-secret!");
  EXPECT_EQ(PutSecretsIn("postern-secret-KEY_2-", kSecrets, {"KEY"}, true),
            "postern-secret-KEY_2-");
  // "user:postern-secret-KEY_2-" and "user:another-secret"
  EXPECT_EQ(PutSecretsIn("Basic dXNlcjpwb3N0ZXJuLXNlY3JldC1LRVlfMi0=", kSecrets, {"KEY_2"}, true),
            "Basic dXNlcjphbm90aGVyLXNlY3JldA==");
  EXPECT_EQ(ExpandSecrets("Bearer ${secret:KEY_2}", kSecrets), "Bearer another-secret");
}

TEST(Secrets, EverySpellingIsFound) {
  const std::string key = "postern-secret-KEY-", other = "postern-secret-KEY_2-";
  for (const std::string& text :
       {kSecrets.at("KEY"), std::string("s3cr/et+va \\\"lue\xc3\xbc"),
        std::string("s3cr\\/et+va \\\"lue\xc3\xbc"), std::string("s3cr/et+va \\\"lue\\u00fc"),
        std::string("s3cr\\/et+va \\\"lue\\u00FC"), std::string("s3cr/et+va &quot;lue\xc3\xbc"),
        std::string("s3cr%2Fet%2Bva%20%22lue%C3%BC"), std::string("s3cr%2fet%2bva%20%22lue%c3%bc"),
        std::string("s3cr%2Fet%2Bva+%22lue%C3%BC"),
        std::string("733363722f65742b766120226c7565c3bc")}) {
    EXPECT_EQ(Filtered("<" + text + ">"), "<" + key + ">") << text;
  }
  // base64 of "another-secret", of "xanother-secret" and of "xyanother-secret"
  for (const char* text :
       {"YW5vdGhlci1zZWNyZXQ=", "eGFub3RoZXItc2VjcmV0", "eHlhbm90aGVyLXNlY3JldA=="}) {
    EXPECT_NE(Filtered(text).find(other), std::string::npos) << text;
    EXPECT_EQ(Filtered(text).find(std::string(text).substr(4, 8)), std::string::npos) << text;
  }
  EXPECT_EQ(Filtered("nothing to see"), "nothing to see");
}

TEST(Secrets, ChunksMakeNoDifference) {
  std::string text = "begin ";
  for (int i = 0; i < 50; ++i) {
    text += std::string(static_cast<size_t>(i), '.') + kSecrets.at("KEY") + "another-secre" +
            "another-secret" + "aanother-secret";
  }
  const std::string whole = Filtered(text);
  EXPECT_EQ(whole.find("another-secret"), std::string::npos);
  for (size_t piece = 1; piece < 70; ++piece) EXPECT_EQ(Filtered(text, piece), whole) << piece;
}

// How much is held back does not depend on what arrives: else a guest with an echo could guess a
// secret byte by byte.
TEST(Secrets, TheTailHasAFixedLength) {
  StreamReplacer close(Spellings("KEY_2", "another-secret")),
      far(Spellings("KEY_2", "another-secret"));
  std::string a, b;
  for (const char* bytes : {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "anoth", "er-secre"}) {
    close.Feed(bytes, a);
    far.Feed(std::string(std::string_view(bytes).size(), 'x'), b);
    EXPECT_EQ(a.size(), b.size());
  }
}

}  // namespace
}  // namespace postern::policy
