#include "supervisor/read_result.h"

#include <gtest/gtest.h>

#include "channel/result_frame.h"

namespace postern::supervisor {
namespace {

using channel::ResultFrame;
using channel::ResultTag;

TEST(ReadResult, TakesWhatAGuestSays) {
  run_api::Outcome o;
  const auto complete =
      ReadResult(ResultFrame(ResultTag::kReadsStdin, "") + ResultFrame(ResultTag::kValue, "[1,2]") +
                     ResultFrame(ResultTag::kSucceeded, ""),
                 o);
  ASSERT_TRUE(complete);
  EXPECT_TRUE(*complete);
  EXPECT_EQ(o.value, "[1,2]");
  EXPECT_EQ(nlohmann::json::parse(o.ToJson())["value"][1], 2);
}

TEST(ReadResult, AnErrorWithEveryPart) {
  run_api::Outcome o;
  const std::string frames = ResultFrame(ResultTag::kErrorName, "TypeError") +
                             ResultFrame(ResultTag::kErrorMessage, "m\xff\"") +
                             ResultFrame(ResultTag::kCauseCode, "ERR_X") +
                             ResultFrame(ResultTag::kFailed, "");
  ASSERT_TRUE(ReadResult(frames, o));
  const auto json = nlohmann::json::parse(o.ToJson());
  EXPECT_EQ(json["outcome"], "failed");
  EXPECT_EQ(json["exitCode"], 1);
  EXPECT_EQ(json["error"]["cause"], (nlohmann::json{{"code", "ERR_X"}}));
}

TEST(ReadResult, HostileFramesAreErrorsOrIgnored) {
  const std::string whole = ResultFrame(ResultTag::kValue, "1");
  for (size_t n = 1; n < whole.size(); ++n) {
    run_api::Outcome o;
    EXPECT_FALSE(ReadResult(whole.substr(0, n), o)) << n;
  }
  run_api::Outcome o;
  EXPECT_FALSE(ReadResult(std::string("\0\0\0\0\0", 5), o));
  EXPECT_FALSE(ReadResult(std::string("\x7f\0\0\0\0", 5), o));
  EXPECT_FALSE(ReadResult(std::string("\x01\xff\xff\xff\xff", 5), o));
  // A value that would break out of the object is no JSON.
  ASSERT_TRUE(ReadResult(ResultFrame(ResultTag::kValue, "1,\"exitCode\":0"), o));
  EXPECT_TRUE(o.value.empty());
  ASSERT_TRUE(ReadResult(ResultFrame(ResultTag::kValue, std::string("1\0,\"exitCode\":0", 15)), o));
  EXPECT_TRUE(o.value.empty());
  ASSERT_TRUE(ReadResult(ResultFrame(ResultTag::kValue, "[1,\n2]"), o));
  EXPECT_TRUE(o.value.empty());
  ASSERT_TRUE(ReadResult(ResultFrame(ResultTag::kExitCode, "999999999999999999"), o));
  EXPECT_TRUE(nlohmann::json::accept(o.ToJson()));
  const auto reads = ReadResult(ResultFrame(ResultTag::kReadsStdin, "1"), o);
  EXPECT_TRUE(reads && !*reads);  // no outcome
  const auto nothing = ReadResult("", o);
  EXPECT_TRUE(nothing && !*nothing);
}

}  // namespace
}  // namespace postern::supervisor
