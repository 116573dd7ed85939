// Request's body on its way to the origin, and its end where the response does not wait for it.
#include "base/format.h"
#include "broker/net/net_binding.h"
#include "broker/net/request.h"

namespace postern::broker {
namespace {

using channel::Failure;

// How long a request goes on being sent whose response is there, while nothing of it moves.
constexpr std::chrono::milliseconds kUploadMovesWithin(250);

}  // namespace

// Gives the guest its window back. What it sent counts, not what secrets made of it: a limit must
// not tell how long they are.
void Request::ConsumeUpload() {
  const size_t n = std::exchange(upload_unconsumed_, 0);
  if (upload_secrets_) CountSent(n);
  guest_.channel().session().Consume(stream_, n);
}

void Request::CountSent(size_t bytes) {
  record_.CountSent(bytes);
  guest_.usage().bytes_out += bytes;
}

void Request::UnpauseUpload() {
  if (std::exchange(upload_paused_, false))
    curl_easy_pause(easy_, body_paused_ ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

// libcurl tells of a response's end, or of the connection's, when it has sent the whole request:
// with a body that the guest keeps back, or that the origin does not take, never.
void Request::OnReadsNoMore() {
  const bool under_way = deadlines_.phase() == Phase::kSend ||
                         deadlines_.phase() == Phase::kHeaders ||
                         deadlines_.phase() == Phase::kBody;
  if (target_.kind == RequestKind::kHttp && has_upload_ && under_way && !body_paused_ &&
      !upload_dropped_)
    DropUploadUnlessMoved();
}

// The rest of the request gets a moment in which it may still go its way.
void Request::DropUploadUnlessMoved() {
  const auto sent = [this] {
    curl_off_t bytes = 0;
    curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &bytes);
    return bytes;
  };
  if (!upload_timer_)
    upload_timer_ = std::make_unique<boost::asio::steady_timer>(guest_.shared().io);
  upload_timer_->expires_after(kUploadMovesWithin);
  upload_timer_->async_wait(
      owner_.WhileHere([this, sent, before = sent()](const boost::system::error_code& error) {
        if (error || easy_ == nullptr || body_paused_) return;
        if (guest_.curl().Reads(easy_)) return;
        if (sent() != before) return DropUploadUnlessMoved();
        kept_open_ = !guest_.curl().PeerEnded(easy_);
        // libcurl is to find that it has sent all, and must not tell the origin so: that would take
        // a part for the whole.
        if (!guest_.curl().SendNowhere(easy_))
          return Fail({channel::kErrBrokerResources, "no descriptor is free"});
        upload_dropped_ = true;
        UnpauseUpload();
      }));
}

// libcurl of 8.7 and later says no more of it than that the request, whose length it knows, was cut
// short. It reads on until the response is complete or the connection has ended: what it would have
// said of the response alone.
CURLcode Request::JudgeEarlyAnswer() {
  if (!responded_) return CURLE_GOT_NOTHING;
  curl_off_t came = 0;
  curl_easy_getinfo(easy_, CURLINFO_SIZE_DOWNLOAD_T, &came);
  const bool all = head_->content_length() == std::to_string(came);
  if (kept_open_ || all || head_->EndsWithItsConnection(target_.method)) return CURLE_OK;
  if (head_->content_length()) return CURLE_PARTIAL_FILE;
  failure_ = Failure{channel::kErrResponseIncomplete,
                     fmt::format("{} ended the connection before it had the whole request; whether "
                                 "its response is complete cannot be told",
                                 target_.url.HostPort())};
  return CURLE_READ_ERROR;
}

}  // namespace postern::broker
