// HandlerFront: the HTTP side of `postern serve --handler`: what clients send goes to a guest of
// the pool, and its answer back. A client whose request no guest answers gets a response that says
// why, with the cause in Proxy-Status (RFC 9209).
#pragma once

#include <map>
#include <memory>

#include "server/handler/handler_pool.h"
#include "server/http/http_connection.h"

namespace postern::server {

class HandlerFront {
 public:
  HandlerFront(boost::asio::io_context& io, HandlerPool& pool,
               const HttpConnection::ConnectionLimits& limits, size_t connections)
      : io_(io), pool_(pool), limits_(limits), max_connections_(connections) {}

  void Accept(HttpConnection::Socket socket);
  // Connections end when they have their answers.
  void Drain();
  size_t connections() const { return connections_.size(); }

 private:
  class Exchange;

  boost::asio::io_context& io_;
  HandlerPool& pool_;
  const HttpConnection::ConnectionLimits limits_;
  const size_t max_connections_;
  const std::shared_ptr<size_t> held_ = std::make_shared<size_t>(0);
  std::map<HttpConnection*, std::shared_ptr<Exchange>> connections_;
};

}  // namespace postern::server
