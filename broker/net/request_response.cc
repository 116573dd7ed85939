// Request's response: fields and body as they come in from the origin.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>

#include "base/format.h"
#include "base/text.h"
#include "broker/net/net_binding.h"
#include "broker/net/request.h"
#include "broker/upstream/http_fields.h"
#include "channel/postern_fields.h"
#include "policy/secrets/representation.h"

namespace postern::broker {
namespace {

using channel::Failure;
using channel::Fields;

constexpr int kMaxInformed = 100;  // informational responses that a guest gets of a request
constexpr size_t kBufferedBody =
    256 * 1024;  // bytes of a response held here before the origin waits
// After how long a pause of the origin whole lines go before their block is full.
constexpr auto kLinesAfter = std::chrono::milliseconds(5);

}  // namespace

UpstreamObserver::LineTaken Request::OnHeaderLine(std::string_view line) {
  switch (head_->Take(line)) {
    case ResponseReader::Line::kTaken:
      return LineTaken::kTaken;
    case ResponseReader::Line::kEnd:
      if (!EndOfHeaders()) return LineTaken::kRefused;
      return cut_off_ ? LineTaken::kEnough : LineTaken::kTaken;
    case ResponseReader::Line::kRefused:
      failure_ = head_->failure();
  }
  return LineTaken::kRefused;
}

// False where the guest cannot get it: failure_ says why.
bool Request::EndOfHeaders() {
  if (head_->status() < 200) {  // the deadline runs on
    if (raw_) Inform(head_->ForGuest(peer_));
    return true;
  }
  if (head_->DropLengthOfChunks()) exchange_->ForbidReuse();
  // libcurl would repeat a request without Expect that was answered with 417, which is for who
  // asked to decide: what it reads on is for nobody.
  cut_off_ = expects_ && head_->status() == 417;
  if (cut_off_) head_->DropBody();
  const Fields fields = head_->ForGuest(peer_);
  if (const Status sent = guest_.channel().session().Respond(stream_, fields, true); !sent) {
    failure_ = Failure{channel::kErrLimitOfHeaders,
                       fmt::format("{} answered what a guest cannot get: {}",
                                   target_.url.HostPort(), sent.error().message)};
    return false;
  }
  responded_ = true;
  head_->StartTrailers();
  if (secrets_ != nullptr) body_filter_.emplace(secrets_);
  EnterPhase(Phase::kBody);
  guest_.channel().FlushSoon();
  return true;
}

void Request::Inform(const Fields& information) {
  if (secrets_ != nullptr || ++informed_ > kMaxInformed) return;
  // One that is too large for the channel is left out: the response is still to come.
  (void)guest_.channel().session().Inform(stream_, information);
  guest_.channel().FlushSoon();
}

UpstreamObserver::BodyTaken Request::OnBody(std::string_view bytes) {
  if (body_.size() - body_at_ >= kBufferedBody) {
    body_paused_ = true;
    return BodyTaken::kFull;
  }
  return ReceiveBody(bytes) ? BodyTaken::kTaken : BodyTaken::kRefused;
}

bool Request::ReceiveBody(std::string_view data) {
  deadlines_.CountProgress(data.size(), Clock::now());
  if (!CountBody(body_filter_ ? body_filter_->Feed(data) : data.size())) return false;
  AppendBody(body_filter_ ? std::string_view(body_filter_->TakeBlocks()) : data);
  if (body_filter_ && body_filter_->waits()) ReleaseLinesAfterPause();
  return true;
}

// Counts what the guest gets: of a host to which secrets go, what the filter leaves.
bool Request::CountBody(size_t bytes) {
  body_total_ += static_cast<int64_t>(bytes);
  guest_.usage().bytes_in += bytes;
  const int64_t limit = guest_.policy().limits.response_bytes;
  if (body_total_ > limit) {
    failure_ = TooLarge(channel::kErrLimitOfBody,
                        fmt::format("the response of {}", target_.url.HostPort()), limit,
                        "response_bytes");
    return false;
  }
  if (OverTotalBytes()) {
    failure_ = TotalBytesFailure();
    return false;
  }
  return true;
}

void Request::AppendBody(std::string_view bytes) {
  if (bytes.empty()) return;
  if (body_at_ > kBufferedBody) body_.erase(0, std::exchange(body_at_, 0));
  body_.append(bytes);
  record_.KeepResponseBody(bytes);
  if (!deadlines_.waits_for_guest()) WaitForGuest();
  guest_.channel().session().ResumeBody(stream_);
  guest_.channel().FlushSoon();
}

// So that lines of an event stream come when they are sent. What the filter itself holds back is
// not among them.
void Request::ReleaseLinesAfterPause() {
  if (!line_timer_) {
    line_timer_ = std::make_unique<boost::asio::steady_timer>(guest_.shared().io);
  }
  line_timer_->expires_after(kLinesAfter);
  line_timer_->async_wait(owner_.WhileHere([this](const boost::system::error_code& error) {
    if (error || deadlines_.phase() != Phase::kBody) return;
    AppendBody(body_filter_->TakeLines());
  }));
}

// What the filter still holds. False where that is too much: failure_ says so.
bool Request::EndBody() {
  if (!body_filter_) return true;
  if (!CountBody(body_filter_->Flush())) return false;
  AppendBody(body_filter_->TakeAll());
  return true;
}

}  // namespace postern::broker
