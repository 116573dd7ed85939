// CurlUpstream: the upstream by libcurl.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "broker/upstream/curl_multi.h"
#include "broker/upstream/trust_store.h"
#include "broker/upstream/upstream.h"

namespace postern::broker {

class CurlUpstream : public Upstream {
 public:
  // `max_idle_connections`: that are kept.
  CurlUpstream(boost::asio::io_context& io, TrustStore& trust, long max_idle_connections)
      : io_(io), trust_(trust), multi_(io, max_idle_connections) {}

  std::unique_ptr<UpstreamExchange> Start(UpstreamRequest request,
                                          UpstreamObserver& observer) override;

 private:
  boost::asio::io_context& io_;
  TrustStore& trust_;
  CurlMulti multi_;
};

}  // namespace postern::broker
