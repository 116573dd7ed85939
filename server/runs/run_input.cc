#include "server/runs/run_input.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace postern::server {

void RunInput::Open(UniqueFd to) {
  if (over_) return;
  to_.assign(to.release());
  if (done_) return Write();
  if (const auto wanted = std::exchange(wanted_, nullptr)) wanted();
}

bool RunInput::Add(std::string piece, bool last, std::function<void(bool)> done) {
  if (done_ || last_) return false;
  piece_ = std::move(piece);
  last_ = last;
  done_ = std::move(done);
  if (over_) {
    Finish(false);
  } else if (to_.is_open()) {
    Write();
  }
  return true;
}

void RunInput::Write() {
  boost::asio::async_write(to_, boost::asio::buffer(piece_),
                           [self = shared_from_this()](const boost::system::error_code& error,
                                                       size_t) { self->Finish(!error); });
}

void RunInput::Finish(bool taken) {
  const bool ends = !taken || last_;
  if (const auto done = std::exchange(done_, nullptr)) done(taken);
  if (ends) Close();
}

void RunInput::Close() {
  if (std::exchange(over_, true)) return;
  boost::system::error_code ignored;
  to_.close(ignored);
  wanted_ = nullptr;
  Finish(false);
}

}  // namespace postern::server
