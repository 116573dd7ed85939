// CurlStream: a connection that libcurl made (CURLOPT_CONNECT_ONLY: through a proxy, under TLS), as
// an asynchronous stream of Asio's, so that Asio's TLS and Beast's WebSocket can run over it.
//
// One read and one write at a time. The easy handle belongs to somebody else, and must stay in its
// multi handle until this is closed.
#pragma once

#include <curl/curl.h>

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <string>
#include <utility>

namespace postern::broker {

class CurlStream {
 public:
  using executor_type = boost::asio::io_context::executor_type;
  using lowest_layer_type = CurlStream;

  // `secure`: libcurl made TLS on it.
  CurlStream(boost::asio::io_context& io, CURL* easy, bool secure);
  ~CurlStream() { Close(); }
  CurlStream(const CurlStream&) = delete;
  CurlStream& operator=(const CurlStream&) = delete;

  executor_type get_executor() { return io_.get_executor(); }
  lowest_layer_type& lowest_layer() { return *this; }
  // Lets go of the handle: what waits ends with operation_aborted.
  void Close();
  // Ends what waits with operation_aborted; the stream goes on.
  void CancelWaits() { descriptor_.cancel(); }
  // Tells the origin that nothing more comes; where TLS of libcurl's is in between it is not told.
  void ShutdownWrite();

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [this](auto handler, boost::asio::mutable_buffer buffer) {
          this->Read(buffer, std::move(handler));
        },
        token, First<boost::asio::mutable_buffer>(buffers));
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [this](auto handler, boost::asio::const_buffer buffer) {
          this->Write(buffer, std::move(handler));
        },
        token, First<boost::asio::const_buffer>(buffers));
  }

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;

  template <typename Buffer, typename Buffers>
  static Buffer First(const Buffers& buffers) {
    for (auto i = boost::asio::buffer_sequence_begin(buffers);
         i != boost::asio::buffer_sequence_end(buffers); ++i) {
      if (Buffer(*i).size() > 0) return Buffer(*i);
    }
    return {};
  }
  // would_block where nothing can be done now.
  size_t TryRead(void* data, size_t size, boost::system::error_code& error);
  size_t TryWrite(const void* data, size_t size, boost::system::error_code& error);

  boost::system::error_code Outcome(CURLcode code) const;

  template <typename Handler>
  void Finish(Handler handler, boost::system::error_code error, size_t n) {
    boost::asio::post(io_,
                      [handler = std::move(handler), error, n]() mutable { handler(error, n); });
  }
  template <typename Handler>
  void Read(boost::asio::mutable_buffer buffer, Handler handler) {
    boost::system::error_code error;
    const size_t n = TryRead(buffer.data(), buffer.size(), error);
    if (error != boost::asio::error::would_block) return Finish(std::move(handler), error, n);
    descriptor_.async_wait(Descriptor::wait_read, [this, buffer, handler = std::move(handler)](
                                                      const boost::system::error_code& e) mutable {
      if (e) return handler(e, size_t{0});
      Read(buffer, std::move(handler));
    });
  }
  template <typename Handler>
  void Write(boost::asio::const_buffer buffer, Handler handler) {
    boost::system::error_code error;
    const size_t n = TryWrite(buffer.data(), buffer.size(), error);
    if (error != boost::asio::error::would_block) return Finish(std::move(handler), error, n);
    descriptor_.async_wait(Descriptor::wait_write, [this, buffer, handler = std::move(handler)](
                                                       const boost::system::error_code& e) mutable {
      if (e) return handler(e, size_t{0});
      Write(buffer, std::move(handler));
    });
  }

  boost::asio::io_context& io_;
  CURL* easy_;
  Descriptor descriptor_;
  const bool secure_;
};

}  // namespace postern::broker
