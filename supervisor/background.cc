#include "supervisor/background.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <csignal>
#include <cstdint>
#include <system_error>

#include "base/unique_fd.h"

namespace postern::supervisor {

Background::~Background() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  more_.notify_one();
  thread_.join();
}

Status Background::Start() {
  if (thread_.joinable()) return Ok{};
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return SystemError("cannot make an eventfd");
  if (!finished_.is_open()) finished_.assign(fd.release());
  // Signals are the loop's business.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  Status started = Ok{};
  try {
    thread_ = std::thread([this] { Work(); });
  } catch (const std::system_error& e) {
    started = Error{"cannot start a thread", e.code().value()};
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started) Listen();
  return started;
}

void Background::Do(std::function<void()> work, std::function<void()> done) {
  if (!Start()) {
    work();
    return boost::asio::post(io_, std::move(done));
  }
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(work), std::move(done)});
  }
  more_.notify_one();
}

void Background::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    more_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    BackgroundTask piece = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    piece.work();
    piece.work = nullptr;  // what it held is freed here, not by the loop
    lock.lock();
    done_.push_back(std::move(piece));
    const uint64_t one = 1;
    (void)!::write(finished_.native_handle(), &one, sizeof one);
  }
}

void Background::Listen() {
  finished_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [this](const boost::system::error_code& error) {
                         if (error) return;
                         uint64_t count = 0;
                         (void)!::read(finished_.native_handle(), &count, sizeof count);
                         std::deque<BackgroundTask> done;
                         {
                           const std::lock_guard lock(mutex_);
                           done.swap(done_);
                         }
                         Listen();
                         for (BackgroundTask& piece : done)
                           boost::asio::post(io_, std::move(piece.done));
                       });
}

}  // namespace postern::supervisor
