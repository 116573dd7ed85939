// Tunnel: bytes of a guest's CONNECT stream to and from an origin, over a connection that libcurl
// made: plain TCP, with TLS begun later (startTls), or WebSocket messages.
//
// Kept alive by what waits in Asio. After Close nothing is called any more.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "broker/upstream/curl_stream.h"
#include "broker/upstream/trust_store.h"
#include "channel/failure.h"
#include "policy/policy.h"

namespace postern::broker {

class Tunnel : public std::enable_shared_from_this<Tunnel> {
 public:
  struct Callbacks {
    std::function<void(channel::Fields)> inform = nullptr;  // a response before the response
    std::function<void(channel::Fields)> open;              // ready; the guest's response
    std::function<void(std::string_view)> data;             // for the guest
    std::function<void(size_t)> sent;                       // so many of the guest's bytes are gone
    // The end: clean, or a failure. Called once.
    std::function<void(std::optional<channel::Failure>)> ended;
  };
  // `where`: "host:port", for messages.
  Tunnel(boost::asio::io_context& io, CURL* easy, bool secure, std::string where, Callbacks events);
  virtual ~Tunnel() = default;
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  virtual void Start() = 0;
  // Bytes of the guest's, kept until they are sent; its window bounds them.
  virtual void Send(std::string_view bytes) = 0;
  virtual void EndSending() = 0;
  // The guest takes no more for now, or takes more again.
  void Pause(bool paused);
  void Close();

 protected:
  virtual void Read() = 0;
  bool paused() const { return paused_; }
  bool closed() const { return closed_; }
  CurlStream& stream() { return stream_; }
  const std::string& where() const { return where_; }
  const Callbacks& events() const { return events_; }
  void End(std::optional<channel::Failure> failure);
  bool reading_ = false;

 private:
  CurlStream stream_;
  std::string where_;
  Callbacks events_;
  bool paused_ = false, closed_ = false;
};

// TLS of one connection, begun later: what asio::ssl needs to know.
struct LaterTls {
  TrustStore& store;
  std::string host;  // that the certificate must be for
  const policy::RuleTls* rule = nullptr;
};

// A TCP stream.
class TcpTunnel : public Tunnel {
 public:
  TcpTunnel(boost::asio::io_context& io, CURL* easy, bool secure, std::string where,
            Callbacks events);
  ~TcpTunnel() override;

  void Start() override;
  void Send(std::string_view bytes) override;
  void EndSending() override;
  // What is sent from now on is TLS. `done` is called once: nullopt where the handshake succeeded;
  // else the stream has ended.
  using TlsDone = std::function<void(std::optional<channel::Failure>)>;
  void StartTls(const LaterTls& tls, TlsDone done);

 protected:
  void Read() override;

 private:
  struct Tls;
  std::optional<channel::Failure> SetUpTls(const LaterTls& tls);
  void BeginTls();
  void Write();
  bool secure() const { return secured_; }  // by TLS that was begun later
  template <typename Stream>
  void ReadFrom(Stream& stream);
  template <typename Stream>
  void WriteTo(Stream& stream);

  std::unique_ptr<Tls> tls_;
  std::string pending_, writing_, buffer_;
  std::string after_tls_;  // what the guest sends while TLS begins
  bool ended_sending_ = false, handshaking_ = false, secured_ = false;
  std::function<void()> begin_tls_;  // once what came before is written, and no read waits
};

// What a tunnel asks an origin for.
struct UpgradeRequest {
  std::string host, target;
  channel::Fields fields;  // names as they are to be written
};

// A WebSocket whose messages the guest reads and writes itself: the handshake is checked, and what
// follows is bytes. An origin that does not switch is read to the end of its response.
std::shared_ptr<Tunnel> MakeUpgradeTunnel(boost::asio::io_context& io, CURL* easy, bool secure,
                                          std::string where, Tunnel::Callbacks events,
                                          UpgradeRequest request,
                                          const policy::NetworkLimits& limits);

std::shared_ptr<Tunnel> MakeWebSocketTunnel(boost::asio::io_context& io, CURL* easy, bool secure,
                                            std::string where, Tunnel::Callbacks events,
                                            std::string host, std::string target,
                                            channel::Fields fields,
                                            const policy::NetworkLimits& limits);

}  // namespace postern::broker
