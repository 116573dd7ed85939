#include "worker/process/zygote.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "base/eintr.h"
#include "channel/control.h"
#include "channel/endpoint.h"
#include "channel/spare_fds.h"
#include "worker/process/spare.h"

namespace postern::worker {
namespace {

constexpr int kIdlePipeBytes = 4096;  // until a spare becomes a guest; grown by who reads or writes

struct ForkedGuest {
  uint64_t id;
  pid_t pid;
  UniqueFd pidfd;
};

class Zygote {
 public:
  Zygote(GuestProgram& program, const ZygoteOptions& options)
      : program_(program), options_(options) {}

  Status Serve() {
    for (;;) {
      std::vector<pollfd> fds = {{options_.control, POLLIN, 0}};
      for (const ForkedGuest& c : children_) fds.push_back({c.pidfd.get(), POLLIN, 0});
      if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR)
        return SystemError("zygote: poll");
      for (size_t i = fds.size() - 1; i > 0; --i) {
        if (fds[i].revents == 0) continue;
        if (Status s = Reap(i - 1); !s) return s;
      }
      if (once_ && children_.empty()) return Ok{};
      if (fds[0].revents == 0) continue;
      auto received = channel::ReceiveControl(options_.control);
      if (!received) return received.error();
      if (!*received) return Ok{};
      if (const auto* fork = std::get_if<channel::ForkSpare>(&(*received)->message)) {
        once_ = fork->only;
        // What spares would compile alike, they share.
        if (!once_ && !std::exchange(warmed_, true)) program_.Warm();
        if (Status s = Fork(fork->spare, !once_); !s) return s;
      }
    }
  }

 private:
  // A spare that cannot be made is told of, and is no concern of the guests that there are.
  Status Fork(uint64_t id, bool warm) {
    const Status made = MakeSpare(id, warm);
    if (made) return Ok{};
    return Send(channel::SpareFailed{id, made.error().message});
  }

  Status MakeSpare(uint64_t id, bool warm) {
    std::vector<UniqueFd> near, far;
    for (int fd = 0; fd < channel::kSpareFdCount; ++fd) {
      auto pipe = MakePipe();
      if (!pipe) return pipe.error();
      ::fcntl(pipe->read.get(), F_SETPIPE_SZ, kIdlePipeBytes);  // failing leaves it larger
      near.push_back(std::move(channel::GuestReads(fd) ? pipe->read : pipe->write));
      far.push_back(std::move(channel::GuestReads(fd) ? pipe->write : pipe->read));
      // Channels are polled; the rest is written and read in turn.
      if (fd > channel::kResultFd && fd != channel::kOrderFd) {
        if (Status s = channel::SetNonBlocking(near.back().get()); !s) return s;
      }
    }
    const pid_t pid = ::fork();
    if (pid < 0) return SystemError("cannot fork a spare");
    if (pid == 0) {
      far.clear();
      BecomeSpare(program_, options_, std::move(near), warm);
    }
    near.clear();
    const Status sent = SendSpare(id, pid, far);
    if (sent) return sent;
    // Nobody has the other end of its order's pipe: it ends by itself.
    far.clear();
    Uninterrupted([&] { return ::waitpid(pid, nullptr, 0); });
    return sent;
  }

  Status SendSpare(uint64_t id, pid_t pid, const std::vector<UniqueFd>& far) {
    UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd.valid()) return SystemError("cannot open a pidfd");
    std::vector<int> fds;
    for (const UniqueFd& fd : far) fds.push_back(fd.get());
    fds.push_back(pidfd.get());
    // ETOOMANYREFS: too many descriptors of this user are on their way (unix(7)).
    if (Status s = Send(channel::SpareMade{id}, fds); !s) return s;
    children_.push_back({id, pid, std::move(pidfd)});
    return Ok{};
  }

  Status Reap(size_t index) {
    ForkedGuest child = std::move(children_[index]);
    children_.erase(children_.begin() + static_cast<ptrdiff_t>(index));
    child.pidfd.reset();  // all of it is gone when the supervisor hears of it
    int status = 0;
    rusage usage{};
    if (Uninterrupted([&] { return ::wait4(child.pid, &status, 0, &usage); }) < 0)
      return SystemError("cannot reap a guest");
    const auto us = [](const timeval& t) {
      return static_cast<int64_t>(t.tv_sec) * 1'000'000 + t.tv_usec;
    };
    return Send(channel::SpareExited{.spare = child.id,
                                     .exit = {.wait_status = status,
                                              .peak_kib = usage.ru_maxrss,
                                              .cpu_us = us(usage.ru_utime) + us(usage.ru_stime)}});
  }

  Status Send(const channel::ControlMessage& message, const std::vector<int>& fds = {}) {
    return channel::SendControl(options_.control, message, fds);
  }

  GuestProgram& program_;
  const ZygoteOptions& options_;
  bool once_ = false;  // the one guest that was asked for is all: its end is ours
  bool warmed_ = false;
  std::vector<ForkedGuest> children_;
};

}  // namespace

Status ServeZygote(GuestProgram& program, const ZygoteOptions& options) {
  return Zygote(program, options).Serve();
}

}  // namespace postern::worker
