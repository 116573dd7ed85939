#include "broker/upstream/curl_stream.h"

#include <sys/socket.h>

namespace postern::broker {
namespace {

int SocketOf(CURL* easy) {
  curl_socket_t fd = CURL_SOCKET_BAD;
  curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
  return fd;
}

}  // namespace

CurlStream::CurlStream(boost::asio::io_context& io, CURL* easy, bool secure)
    : io_(io), easy_(easy), descriptor_(io, SocketOf(easy)), secure_(secure) {}

void CurlStream::Close() {
  if (easy_ == nullptr) return;
  easy_ = nullptr;
  if (descriptor_.is_open()) descriptor_.release();
}

void CurlStream::ShutdownWrite() {
  if (easy_ != nullptr && !secure_) ::shutdown(descriptor_.native_handle(), SHUT_WR);
}

size_t CurlStream::TryRead(void* data, size_t size, boost::system::error_code& error) {
  size_t n = 0;
  const CURLcode code = easy_ == nullptr ? CURLE_OK : curl_easy_recv(easy_, data, size, &n);
  error = Outcome(code);
  if (!error && n == 0 && size > 0) error = boost::asio::error::eof;
  return n;
}

size_t CurlStream::TryWrite(const void* data, size_t size, boost::system::error_code& error) {
  size_t n = 0;
  const CURLcode code = easy_ == nullptr ? CURLE_OK : curl_easy_send(easy_, data, size, &n);
  error = Outcome(code);
  return n;
}

boost::system::error_code CurlStream::Outcome(CURLcode code) const {
  if (easy_ == nullptr) return boost::asio::error::operation_aborted;
  if (code == CURLE_AGAIN) return boost::asio::error::would_block;
  if (code != CURLE_OK) return boost::asio::error::connection_reset;
  return {};
}

}  // namespace postern::broker
