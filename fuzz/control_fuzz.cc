// A datagram on a control socket: read as a message, or refused; what was read says the same when
// it is sent again.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "channel/control.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using postern::channel::ReceiveControl;
  static const auto pair = postern::channel::MakeControlPair();
  if (!pair) __builtin_trap();
  // An empty datagram is an end, and a longer one than the socket takes cannot arrive.
  if (size == 0 || ::send(pair->first.get(), data, size, MSG_DONTWAIT) < 0) return 0;
  const auto received = ReceiveControl(pair->second.get());
  if (!received || !*received) return 0;
  // Its JSON may be longer when it is written again.
  if (!SendControl(pair->first.get(), (*received)->message)) return 0;
  const auto again = ReceiveControl(pair->second.get());
  if (!again || !*again || (*again)->message != (*received)->message) __builtin_trap();
  return 0;
}
