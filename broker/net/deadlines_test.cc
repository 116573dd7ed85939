#include "broker/net/deadlines.h"

#include <gtest/gtest.h>

namespace postern::broker {
namespace {

using std::chrono::milliseconds;

class DeadlinesTest : public testing::Test {
 protected:
  DeadlinesTest() {
    limits_.total_timeout = 100'000;
    limits_.resolve_timeout = 1'000;
    limits_.connect_timeout = 2'000;
    limits_.tls_timeout = 3'000;
    limits_.upload_timeout = 4'000;
    limits_.headers_timeout = 5'000;
    limits_.idle_timeout = 6'000;
    limits_.unread_timeout = 7'000;
    limits_.stream_idle_timeout = 8'000;
    limits_.min_bytes = 100;
    deadlines_.emplace(limits_, begin_);
  }
  Deadlines::TimePoint At(int64_t ms) const { return begin_ + milliseconds(ms); }
  std::optional<Late> CheckAt(int64_t ms, bool upload_waits = false) {
    return deadlines_->Check(At(ms), upload_waits);
  }

  const Deadlines::TimePoint begin_{std::chrono::hours(1)};
  policy::NetworkLimits limits_;
  std::optional<Deadlines> deadlines_;
};

TEST_F(DeadlinesTest, EachPhaseHasItsOwn) {
  const std::tuple<Phase, int64_t, Late> phases[] = {
      {Phase::kRecord, 2'000, Late::kRecord},   {Phase::kResolve, 1'000, Late::kResolve},
      {Phase::kConnect, 2'000, Late::kConnect}, {Phase::kTls, 3'000, Late::kTls},
      {Phase::kSend, 4'000, Late::kUpload},     {Phase::kHeaders, 5'000, Late::kHeaders},
      {Phase::kBody, 6'000, Late::kBody},       {Phase::kStream, 8'000, Late::kStream},
  };
  for (const auto& [phase, after, late] : phases) {
    deadlines_.emplace(limits_, begin_);
    deadlines_->Enter(phase, At(10));
    EXPECT_EQ(deadlines_->next(), At(10 + after));
    EXPECT_EQ(CheckAt(10 + after - 1), std::nullopt);
    EXPECT_EQ(CheckAt(10 + after), late);
    EXPECT_EQ(deadlines_->next(), Deadlines::TimePoint::max());  // it is said once
  }
}

TEST_F(DeadlinesTest, TheTotalRunsOverAllOfThem) {
  limits_.total_timeout = 1'500;
  deadlines_.emplace(limits_, begin_);
  deadlines_->Enter(Phase::kResolve, At(0));
  deadlines_->Enter(Phase::kConnect, At(900));
  EXPECT_EQ(deadlines_->next(), At(1'500));
  EXPECT_EQ(CheckAt(1'499), std::nullopt);
  EXPECT_EQ(CheckAt(1'500), Late::kTotal);
}

TEST_F(DeadlinesTest, AGuestThatKeepsItsUploadBackHasTheTotalAlone) {
  deadlines_->Enter(Phase::kSend, At(0));
  for (int64_t ms = 4'000; ms < 100'000; ms += 4'000) EXPECT_EQ(CheckAt(ms, true), std::nullopt);
  EXPECT_EQ(CheckAt(100'000, true), Late::kTotal);
}

TEST_F(DeadlinesTest, OfTwoClocksOfABodyOneRuns) {
  deadlines_->Enter(Phase::kBody, At(0));
  deadlines_->WaitForGuest(At(2'000));  // 4 s of the origin's are left
  EXPECT_EQ(deadlines_->next(), At(9'000));
  deadlines_->WaitForOrigin(At(8'000));
  EXPECT_EQ(deadlines_->next(), At(12'000));
  EXPECT_FALSE(deadlines_->waits_for_guest());
  EXPECT_EQ(CheckAt(12'000), Late::kBody);
  deadlines_->WaitForGuest(At(12'000));
  EXPECT_EQ(CheckAt(19'000), Late::kUnread);
}

TEST_F(DeadlinesTest, ABodyThatTricklesIsLateAllTheSame) {
  deadlines_->Enter(Phase::kBody, At(0));
  deadlines_->CountProgress(99, At(5'000));
  deadlines_->WaitForOrigin(At(5'000));
  // 99 bytes are no progress: what was left of the clock when it last began anew is all there is.
  EXPECT_EQ(deadlines_->next(), At(11'000));
  deadlines_->CountProgress(1, At(10'000));
  deadlines_->WaitForGuest(At(10'000));
  deadlines_->WaitForOrigin(At(10'000));
  EXPECT_EQ(deadlines_->next(), At(16'000));
}

TEST_F(DeadlinesTest, AGuestThatReadsNothingOfWhatIsThereIsLate) {
  deadlines_->Enter(Phase::kDone, At(0));
  EXPECT_EQ(CheckAt(90'000), std::nullopt);
  deadlines_->WaitForGuest(At(90'000));
  EXPECT_EQ(CheckAt(97'000), Late::kUnread);
}

TEST_F(DeadlinesTest, AStreamLivesAsLongAsSomethingMoves) {
  deadlines_->EnterStream(true, At(0));
  deadlines_->Moved(At(7'000));
  EXPECT_EQ(CheckAt(8'000), std::nullopt);
  EXPECT_EQ(deadlines_->next(), At(15'000));
  deadlines_->Moved(At(200'000));  // beyond the total
  EXPECT_EQ(CheckAt(200'001), std::nullopt);
  EXPECT_EQ(CheckAt(208'000), Late::kStream);
}

TEST_F(DeadlinesTest, AnOrdinaryResponseOnAStreamHasTheTotal) {
  deadlines_->EnterStream(false, At(0));
  EXPECT_EQ(deadlines_->next(), At(100'000));
  EXPECT_EQ(CheckAt(100'000), Late::kTotal);
}

TEST_F(DeadlinesTest, NothingIsLateOnceTheyAreStopped) {
  deadlines_->Enter(Phase::kHeaders, At(0));
  deadlines_->Stop();
  EXPECT_EQ(CheckAt(1'000'000), std::nullopt);
}

TEST_F(DeadlinesTest, EachFailureNamesWhoAndTheLimit) {
  const auto failure = [&](Late late, LateRequest request = {"a.test", "a.test:80", Phase::kHeaders,
                                                             false, false, false}) {
    return LateFailure(late, request, limits_);
  };
  EXPECT_EQ(failure(Late::kResolve).code, "ERR_DNS_TIMEOUT");
  EXPECT_EQ(failure(Late::kResolve).details,
            "the resolver did not answer for a.test within 1 s (resolve_timeout)");
  limits_.headers_timeout = 1'500;
  EXPECT_EQ(failure(Late::kHeaders).details,
            "a.test:80 sent no response within 1.5 s (headers_timeout)");
  EXPECT_EQ(failure(Late::kTotal).error, "http_response_timeout");
  EXPECT_EQ(failure(Late::kTotal).details, "a.test:80 did not finish within 100 s (total_timeout)");
  const LateRequest unread{"a.test", "a.test:80", Phase::kDone, true, true, false};
  EXPECT_EQ(failure(Late::kTotal, unread).error, "connection_read_timeout");
  EXPECT_EQ(failure(Late::kTotal, unread).details,
            "the guest did not read the body of a.test:80 to its end within 100 s (total_timeout)");
  const LateRequest unsent{"a.test", "a.test:80", Phase::kSend, false, false, true};
  EXPECT_EQ(failure(Late::kTotal, unsent).details,
            "the guest did not send the body of its request to a.test:80 within 100 s "
            "(total_timeout)");
}

}  // namespace
}  // namespace postern::broker
