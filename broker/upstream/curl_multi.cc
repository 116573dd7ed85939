#include "broker/upstream/curl_multi.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>

namespace postern::broker {
namespace {

constexpr size_t kMaxPooled = 64;

// Before 8.2.0 a handle that is used again keeps a pointer to the last field of its response
// before, and writes through it where the next response begins with a folded line.
bool MayBePooled() {
  static const bool fixed = curl_version_info(CURLVERSION_NOW)->version_num >= 0x080200;
  return fixed;
}

}  // namespace

CurlMulti::CurlMulti(boost::asio::io_context& io, long max_idle_connections)
    : io_(io), multi_(curl_multi_init()), timer_(io) {
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, OnSocket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, OnTimer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, max_idle_connections);
  // One request at a time on a connection, HTTP/2 too: of one that others share libcurl goes on
  // reading for a stream that is paused, and keeps it all, as much as its window of 32 MiB.
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
}

CurlMulti::~CurlMulti() {
  owner_.Leave();
  while (!running_.empty()) {
    CURL* easy = running_.begin()->first;
    Remove(easy);
    curl_easy_cleanup(easy);
  }
  for (CURL* easy : pool_) curl_easy_cleanup(easy);
  curl_multi_cleanup(multi_);
}

CURL* CurlMulti::Acquire() {
  if (pool_.empty()) return curl_easy_init();
  CURL* easy = pool_.back();
  pool_.pop_back();
  return easy;
}

void CurlMulti::Release(CURL* easy) {
  if (!MayBePooled() || pool_.size() >= kMaxPooled) {
    curl_easy_cleanup(easy);
    return;
  }
  curl_easy_reset(easy);
  pool_.push_back(easy);
}

void CurlMulti::Add(CURL* easy, Done done, bool connect_only, std::function<void()> reads_no_more) {
  running_.emplace(easy, Running{.done = std::move(done),
                                 .connect_only = connect_only,
                                 .reads_no_more = std::move(reads_no_more)});
  curl_multi_add_handle(multi_, easy);
}

void CurlMulti::Remove(CURL* easy) {
  if (running_.erase(easy) == 0) return;
  // What libcurl keeps of a paused transfer of HTTP/2 is lost to its memory when that is removed
  // (7.88): it has to come out first.
  const curl_write_callback swallow = [](char*, size_t size, size_t count, void*) {
    return size * count;
  };
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, swallow);
  curl_easy_pause(easy, CURLPAUSE_SEND);
  curl_multi_remove_handle(multi_, easy);
}

bool CurlMulti::Reads(CURL* easy) const {
  const auto running = running_.find(easy);
  if (running == running_.end()) return false;
  const int what = running->second.what;
  return what != CURL_POLL_REMOVE && (what & CURL_POLL_IN) != 0;
}

bool CurlMulti::PeerEnded(CURL* easy) const {
  const auto running = running_.find(easy);
  if (running == running_.end()) return true;
  pollfd p{running->second.fd, POLLRDHUP, 0};
  return ::poll(&p, 1, 0) != 0;
}

bool CurlMulti::SendNowhere(CURL* easy) {
  const auto running = running_.find(easy);
  if (running == running_.end() || running->second.fd == CURL_SOCKET_BAD) return false;
  Running& transfer = running->second;
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return false;
  const UniqueFd place(pair[0]);
  transfer.nowhere.reset(pair[1]);
  watches_.erase(transfer.fd);
  if (::dup3(place.get(), transfer.fd, O_CLOEXEC) < 0) return false;
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  Watch(transfer.fd, transfer.what);
  return true;
}

int CurlMulti::OnSocket(CURL* easy, curl_socket_t fd, int what, void* arg, void* /*socket*/) {
  auto* self = static_cast<CurlMulti*>(arg);
  self->Watch(fd, what);
  if (const auto running = self->running_.find(easy); running != self->running_.end()) {
    running->second.fd = fd;
    running->second.what = what;
    if (!self->Reads(easy) && running->second.reads_no_more) running->second.reads_no_more();
  }
  return 0;
}

void CurlMulti::Watch(curl_socket_t fd, int what) {
  if (what == CURL_POLL_REMOVE) {
    watches_.erase(fd);
    return;
  }
  auto& watch = watches_[fd];
  if (!watch) {
    watch = std::make_unique<loop::FdWatch>(io_, fd, [this, fd](bool readable, bool) {
      Act(fd, readable ? CURL_CSELECT_IN : CURL_CSELECT_OUT);
    });
  }
  watch->Watch((what & CURL_POLL_IN) != 0, (what & CURL_POLL_OUT) != 0);
}

int CurlMulti::OnTimer(CURLM* /*multi*/, long timeout_ms, void* arg) {
  auto* self = static_cast<CurlMulti*>(arg);
  if (timeout_ms < 0) {
    self->timer_.cancel();
    return 0;
  }
  if (timeout_ms == 0) {  // "now", but not from inside this callback: no timer is needed for it
    self->timer_.cancel();
    if (std::exchange(self->kicked_, true)) return 0;
    boost::asio::post(self->io_, self->owner_.WhileHere([self] {
      self->kicked_ = false;
      self->Act(CURL_SOCKET_TIMEOUT, 0);
    }));
    return 0;
  }
  self->timer_.expires_after(std::chrono::milliseconds(timeout_ms));
  self->timer_.async_wait(self->owner_.WhileHere([self](const boost::system::error_code& error) {
    if (!error) self->Act(CURL_SOCKET_TIMEOUT, 0);
  }));
  return 0;
}

void CurlMulti::Act(curl_socket_t fd, int events) {
  int running = 0;
  curl_multi_socket_action(multi_, fd, events, &running);
  CollectDone();
}

void CurlMulti::CollectDone() {
  const loop::Owner::Watch watch = owner_.watch();
  int left = 0;
  while (!watch.gone()) {
    const CURLMsg* message = curl_multi_info_read(multi_, &left);
    if (message == nullptr) return;
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;
    const auto running = running_.find(easy);
    if (running == running_.end()) continue;
    const Done done = std::move(running->second.done);
    if (code != CURLE_OK || !running->second.connect_only) Remove(easy);
    done(code);
  }
}

}  // namespace postern::broker
