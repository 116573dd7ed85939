// ControlLoop: a broker's side of its control socket. The supervisor is trusted; its end is ours.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>

#include "channel/control_outbox.h"
#include "loop/fd_watch.h"

namespace postern::loop {

class ControlLoop {
 public:
  using OnMessage = std::function<void(channel::ReceivedControl)>;

  // Stops `io` when the supervisor is gone. `on_message` gets everything but pings.
  ControlLoop(boost::asio::io_context& io, int socket, OnMessage on_message)
      : io_(io),
        socket_(socket),
        on_message_(std::move(on_message)),
        outbox_(socket),
        watch_(io, socket, [this](bool readable, bool) { readable ? Readable() : Writable(); }) {
    watch_.Watch(true, false);
  }
  // A supervisor that is busy takes it later.
  void Send(const channel::ControlMessage& message) {
    // One that takes nothing any more is stopped or gone; PDEATHSIG and EOF end this broker then.
    if (!outbox_.Send(message)) return io_.stop();
    if (!outbox_.empty()) watch_.Watch(true, true);
  }

 private:
  void Writable() {
    if (!outbox_.Flush()) return io_.stop();
    if (outbox_.empty()) watch_.Watch(true, false);
  }
  void Readable() {
    auto received = channel::ReceiveControl(socket_);
    if (!received && received.error().errnum == EAGAIN) return;
    if (!received || !*received) return io_.stop();
    if (const auto* ping = std::get_if<channel::Ping>(&(*received)->message)) {
      Send(channel::Pong{ping->number});
    } else {
      on_message_(std::move(**received));
    }
  }

  boost::asio::io_context& io_;
  int socket_;
  OnMessage on_message_;
  channel::ControlOutbox outbox_;
  loop::FdWatch watch_;
};

}  // namespace postern::loop
