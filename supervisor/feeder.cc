#include "supervisor/feeder.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

namespace postern::supervisor {

void Feeder::Start(boost::asio::io_context& io, int from, UniqueFd to) {
  std::shared_ptr<Feeder>(new Feeder(io, from, std::move(to)))->Read();
}

Feeder::Feeder(boost::asio::io_context& io, int from, UniqueFd to)
    : from_(io, from, SharedDescriptor::Use::kRead), to_(io, to.release()) {}

void Feeder::Read() {
  from_.Await([self = shared_from_this()](bool can) {
    const ssize_t n = can ? self->from_.Read(self->piece_) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return self->Read();
    // At its end, or where it cannot be read, the guest's stdin ends with this.
    if (n <= 0) return;
    boost::asio::async_write(self->to_, boost::asio::buffer(self->piece_, static_cast<size_t>(n)),
                             [self](const boost::system::error_code& error, size_t) {
                               if (!error) self->Read();
                             });
  });
}

}  // namespace postern::supervisor
