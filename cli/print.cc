#include "cli/print.h"

#include <boost/asio/io_context.hpp>
#include <chrono>

#include "base/format.h"
#include "base/printable.h"
#include "supervisor/forwarder.h"

namespace postern::cli {
namespace {

constexpr auto kTakenWithin = std::chrono::seconds(3);

}  // namespace

void WriteStderr(std::string_view text) {
  static bool waits = true;  // once: who did not read then is not waited for again
  boost::asio::io_context io{1};
  bool over = false;
  // Where it cannot be written there is nowhere to say so.
  supervisor::Forwarder::ToDescriptor(io, STDERR_FILENO, [](int) {})(text,
                                                                     [&](bool) { over = true; });
  io.run_for(waits ? kTakenWithin : std::chrono::seconds(0));
  waits = waits && over;
}

void Say(std::string_view sentence) {
  WriteStderr(fmt::format("postern: {}\n", Printable(sentence)));
}

}  // namespace postern::cli
