// Orphans: processes whose parents have died, which become this process's where it is PID 1, as a
// container's entrypoint is: somebody has to take note of their ends.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace postern::supervisor {

class Orphans {
 public:
  // Does nothing where this is not PID 1: then init has that duty.
  explicit Orphans(boost::asio::io_context& io);

 private:
  void Await();
  static void Reap();

  boost::asio::signal_set ended_;
};

}  // namespace postern::supervisor
