// An HTTP/1.1 Upgrade to WebSocket (RFC 6455 section 4) for a guest that speaks the protocol
// itself.
//
// Nothing of the guest's after its request reaches the origin unless that has agreed: with 101, the
// upgrade that was asked for, and the answer to the guest's key. Otherwise what the guest sends on
// could be read there as further requests, which nobody decided about.
#include <openssl/sha.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "base/format.h"
#include "base/text.h"
#include "broker/upstream/beast_text.h"
#include "broker/upstream/http_fields.h"
#include "broker/upstream/tunnel.h"
#include "channel/postern_fields.h"

namespace postern::broker {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using channel::Failure;

constexpr size_t kReadBytes = 64 * 1024;
constexpr int kMaxInformational = 100;  // responses before the response

// RFC 6455 section 4.2.2, number 5.
std::string AcceptOf(const std::string& key) {
  const std::string text = fmt::format("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  unsigned char hash[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash);
  return EncodeBase64({reinterpret_cast<const char*>(hash), sizeof hash});
}

class UpgradeTunnel : public TcpTunnel {
 public:
  UpgradeTunnel(asio::io_context& io, CURL* easy, bool secure, std::string where, Callbacks events,
                UpgradeRequest request, const policy::NetworkLimits& limits)
      : TcpTunnel(io, easy, secure, std::move(where), std::move(events)),
        request_(std::move(request)),
        head_limit_(static_cast<uint32_t>(limits.header_bytes)),
        field_limit_(static_cast<size_t>(limits.header_count)),
        body_limit_(static_cast<uint64_t>(limits.response_bytes)) {}

  void Start() override {
    if (auto failure = WriteHead()) return End(std::move(failure));
    asio::async_write(stream(), asio::buffer(head_),
                      [this, self = shared_from_this()](const error_code& error, size_t) {
                        if (closed()) return;
                        if (error) return Failed(error, Unanswered());
                        ReadHead();
                      });
  }

  void Send(std::string_view bytes) override {
    if (switched_) return TcpTunnel::Send(bytes);
    events().sent(bytes.size());  // nobody is there to take it
  }
  void EndSending() override {
    if (switched_) TcpTunnel::EndSending();
  }

 private:
  using Parser = http::response_parser<http::buffer_body>;

  // Every part was parsed before; here it must fit into a line of its own.
  std::optional<Failure> WriteHead() {
    head_ =
        fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
                    request_.target, request_.host);
    for (const channel::Field& f : request_.fields) {
      const bool fits = IsToken(f.name) &&
                        f.value.find_first_of(std::string_view("\0\r\n", 3)) == std::string::npos;
      if (!fits) return Failure{channel::kErrNetworkDenied, "a malformed field"};
      if (EqualsIgnoringCase(f.name, "sec-websocket-key")) key_ = f.value;
      fmt::format_to(std::back_inserter(head_), "{}: {}\r\n", f.name, f.value);
    }
    head_ += "\r\n";
    if (!key_.empty()) return std::nullopt;
    return Failure{channel::kErrWebSocketRequest,
                   "an upgrade to websocket needs a Sec-WebSocket-Key"};
  }

  void ReadHead() {
    parser_.emplace();
    parser_->header_limit(head_limit_);
    parser_->body_limit(body_limit_);
    http::async_read_header(stream(), buffer_, *parser_,
                            [this, self = shared_from_this()](const error_code& error, size_t) {
                              if (closed()) return;
                              if (error) return Failed(error, Unanswered());
                              TakeHead();
                            });
  }

  void TakeHead() {
    const auto& head = parser_->get();
    const unsigned status = head.result_int();
    if (status < 100) return BadHead();
    if (status < 200 && status != 101) return TakeInformation();
    if (status == 101 && !Agreed(head)) {
      return End(Failure{
          channel::kErrWebSocket,
          fmt::format("{} switched to another protocol than was asked for, or answered another key",
                      where())});
    }
    channel::Fields response = {{":status", std::to_string(status == 101 ? 200 : status)}};
    if (status == 101) response.push_back({channel::kUpgraded, "on"});
    if (!AddFields(response)) return BadHead();
    switched_ = status == 101;
    events().open(std::move(response));
    if (!closed()) Read();
  }

  void TakeInformation() {
    if (++informational_ > kMaxInformational) {
      return End(Failure{
          channel::kErrHttpProtocol,
          fmt::format("{} sent more than {} informational responses", where(), kMaxInformational)});
    }
    channel::Fields information = {{":status", std::to_string(parser_->get().result_int())}};
    if (!AddFields(information)) return BadHead();
    if (events().inform) events().inform(std::move(information));
    if (!closed()) ReadHead();
  }

  // The head's reason and fields; false where they are none.
  bool AddFields(channel::Fields& to) const {
    const auto& head = parser_->get();
    to.push_back({channel::kStatusText, channel::EscapeText(View(head.reason()))});
    std::vector<std::string> names;
    for (const auto& field : head) {
      if (names.size() == field_limit_) return false;
      std::string name = AsciiLower(View(field.name_string()));
      std::string value = Trim(View(field.value()));
      if (!CheckField(name, value)) return false;
      if (name == "content-length") name = channel::kContentLength;
      if (!Forwarded(name) && name != channel::kContentLength) continue;
      names.emplace_back(View(field.name_string()));
      to.push_back({std::move(name), std::move(value)});
    }
    if (const std::string all = JoinNames(names); !all.empty())
      to.push_back({channel::kNames, all});
    return true;
  }

  static bool CheckField(const std::string& name, const std::string& value) {
    return nghttp2_check_header_name(reinterpret_cast<const uint8_t*>(name.data()), name.size()) !=
               0 &&
           nghttp2_check_header_value(reinterpret_cast<const uint8_t*>(value.data()),
                                      value.size()) != 0;
  }

  bool Agreed(const http::response_header<>& head) const {
    return EqualsIgnoringCase(View(head[http::field::upgrade]), "websocket") &&
           http::token_list(head[http::field::connection]).exists("upgrade") &&
           Trim(View(head[http::field::sec_websocket_accept])) == AcceptOf(key_);
  }

  void Read() override {
    if (!switched_) return ReadBody();
    if (buffer_.size() == 0) return TcpTunnel::Read();
    // Came with the head.
    const auto bytes = buffer_.data();
    const std::string first(static_cast<const char*>(bytes.data()), bytes.size());
    buffer_.clear();
    events().data(first);
    if (!closed()) TcpTunnel::Read();
  }

  // The body of a response without a switch.
  void ReadBody() {
    if (closed() || reading_ || paused() || !parser_) return;
    if (parser_->is_done()) return End(std::nullopt);
    reading_ = true;
    piece_.resize(kReadBytes);
    auto& body = parser_->get().body();
    body.data = piece_.data();
    body.size = piece_.size();
    http::async_read_some(
        stream(), buffer_, *parser_, [this, self = shared_from_this()](error_code error, size_t) {
          reading_ = false;
          if (closed()) return;
          if (error == http::error::need_buffer) error = {};
          const size_t n = piece_.size() - parser_->get().body().size;
          if (n > 0) events().data({piece_.data(), n});
          if (closed()) return;
          if (error) return Failed(error, fmt::format("the response of {} was cut short", where()));
          ReadBody();
        });
  }

  std::string Unanswered() const {
    return fmt::format("{} closed the connection without an answer", where());
  }

  void BadHead() {
    End(Failure{channel::kErrHttpProtocol,
                fmt::format("{} answered an upgrade with a malformed header section", where())});
  }

  // `early`: the sentence where the connection ended too soon.
  void Failed(const error_code& error, std::string early) {
    const auto limit = [this](const channel::FailureKind& kind, const char* what, uint64_t bytes,
                              const char* key) {
      End(Failure{kind, fmt::format("{}{} is larger than the limit of {} ({})", what, where(),
                                    bytes, key)});
    };
    if (error == http::error::body_limit) {  // as its length says, or by what came
      return limit(channel::kErrLimitOfBody, "the response of ", body_limit_, "response_bytes");
    }
    if (error == http::error::header_limit) {
      return limit(channel::kErrLimitOfHeaders, "the header section of ", head_limit_,
                   "header_bytes");
    }
    if (error == asio::error::connection_reset) {
      return End(
          Failure{channel::kErrConnectionReset, fmt::format("{} reset the connection", where())});
    }
    if (error == asio::error::eof || error == http::error::end_of_stream ||
        error == http::error::partial_message) {
      return End(Failure{channel::kErrResponseIncomplete, std::move(early)});
    }
    End(Failure{channel::kErrHttpProtocol,
                fmt::format("the answer of {} is not valid HTTP: {}", where(), error.message())});
  }

  UpgradeRequest request_;
  const uint32_t head_limit_;
  const size_t field_limit_;
  const uint64_t body_limit_;
  std::string head_, key_, piece_;
  std::optional<Parser> parser_;
  beast::flat_buffer buffer_;
  int informational_ = 0;
  bool switched_ = false;
};

}  // namespace

std::shared_ptr<Tunnel> MakeUpgradeTunnel(asio::io_context& io, CURL* easy, bool secure,
                                          std::string where, Tunnel::Callbacks events,
                                          UpgradeRequest request,
                                          const policy::NetworkLimits& limits) {
  return std::make_shared<UpgradeTunnel>(io, easy, secure, std::move(where), std::move(events),
                                         std::move(request), limits);
}

}  // namespace postern::broker
