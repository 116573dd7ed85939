// ChildProcess: a program of ours (worker or broker) that the supervisor started, with a control
// socket.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "channel/control_outbox.h"
#include "loop/owner.h"

namespace postern::supervisor {

// The pid that a pidfd stands for (proc(5), fdinfo); 0 when it stands for none.
pid_t PidOf(int pidfd);

class ChildProcess {
 public:
  struct Callbacks {
    std::function<void(channel::ReceivedControl)> message;
    std::function<void()> gone;  // its control socket ended; called once
  };
  struct Program {
    std::string executable;
    std::vector<std::string> arguments;
    std::vector<std::pair<std::string, std::string>> environment;  // all of it
    std::vector<int> inherited;                                    // become descriptors 4, 5, …
  };

  static Result<std::unique_ptr<ChildProcess>> Start(boost::asio::io_context& io,
                                                     const Program& program, Callbacks events);
  // Kills the process and what its launcher forked, reaps it, and waits until the control socket,
  // which the last of them holds, has ended. A guest's own end is its pidfd's business
  // (Run::AwaitGuest).
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Whether a process is the program of one that lives.
  static bool IsOurs(pid_t pid);

  // At once, or when the socket takes it again.
  Status Send(const channel::ControlMessage& message, const std::vector<int>& fds = {});
  // A pidfd of what the program's launcher forked; -1 until it is ready.
  int inner() const { return inner_.get(); }

 private:
  ChildProcess(boost::asio::io_context& io, pid_t pid, UniqueFd control, Callbacks events);
  void Listen();
  void OnReadable();
  void SendWaiting();

  pid_t pid_;
  UniqueFd inner_;
  boost::asio::posix::stream_descriptor control_;
  channel::ControlOutbox outbox_;
  bool sending_ = false;  // what waits goes out when the socket is writable
  Callbacks events_;
  loop::Owner owner_;
};

}  // namespace postern::supervisor
