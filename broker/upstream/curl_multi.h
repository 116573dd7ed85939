// CurlMulti: a libcurl multi handle on an Asio loop, with a pool of easy handles.
//
// One a guest: its connections are its own. curl_multi calls happen on the loop only, never inside
// a libcurl callback.
#pragma once

#include <curl/curl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/unique_fd.h"
#include "loop/fd_watch.h"
#include "loop/owner.h"

namespace postern::broker {

class CurlMulti {
 public:
  using Done = std::function<void(CURLcode)>;

  CurlMulti(boost::asio::io_context& io, long max_idle_connections);
  ~CurlMulti();
  CurlMulti(const CurlMulti&) = delete;
  CurlMulti& operator=(const CurlMulti&) = delete;

  // A reset easy handle; give it back with Release.
  CURL* Acquire();
  void Release(CURL* easy);

  // Starts the transfer. `done` is called once from the loop, unless Remove comes first. A handle
  // that was set up to connect only stays, with its connection, until Remove; any other is let go
  // of.
  // `reads_no_more` is called from inside libcurl when it does not want to read from a connection:
  // what came is complete, or it waits for other things.
  void Add(CURL* easy, Done done, bool connect_only = false,
           std::function<void()> reads_no_more = nullptr);
  void Remove(CURL* easy);
  // Whether libcurl wants to read from the transfer's connection, and whether the other end has
  // ended it, or its half.
  bool Reads(CURL* easy) const;
  bool PeerEnded(CURL* easy) const;
  // Ends the transfer's connection without libcurl's knowledge: whatever it still sends is taken
  // and goes nowhere. The connection is not used again. False: that cannot be.
  bool SendNowhere(CURL* easy);

 private:
  static int OnSocket(CURL* easy, curl_socket_t fd, int what, void* self, void* socket);
  static int OnTimer(CURLM* multi, long timeout_ms, void* self);
  void Act(curl_socket_t fd, int events);
  void CollectDone();

  boost::asio::io_context& io_;
  CURLM* multi_;
  boost::asio::steady_timer timer_;
  bool kicked_ = false;  // a call is on its way
  std::map<curl_socket_t, std::unique_ptr<loop::FdWatch>> watches_;
  struct Running {
    Done done;
    bool connect_only;
    std::function<void()> reads_no_more;
    curl_socket_t fd = CURL_SOCKET_BAD;  // the last one that it waited for
    int what = CURL_POLL_NONE;           // and what for
    UniqueFd nowhere;                    // the other end of what stands in the connection's place
  };
  void Watch(curl_socket_t fd, int what);
  std::map<CURL*, Running> running_;
  std::vector<CURL*> pool_;
  loop::Owner owner_;
};

}  // namespace postern::broker
