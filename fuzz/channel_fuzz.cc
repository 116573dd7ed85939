// The server side of a channel, fed any bytes in pieces: it fails or goes on, with every request
// answered, and nothing else.
#include <algorithm>
#include <set>

#include "channel/failure.h"
#include "channel/http2_session.h"

namespace {

using postern::channel::Fields;
using postern::channel::Http2Session;

class Answering : public Http2Session::Observer {
 public:
  Http2Session* session = nullptr;

  void OnHeaders(int32_t stream, Fields fields, bool) override {
    if (!open_.insert(stream).second) return;
    const auto status = session->Respond(
        stream, postern::channel::FailureResponse({"http_request_denied", "ERR_X", "no"}), true);
    if (!status) session->Reset(stream, 2);
    for (const auto& f : fields) {
      const auto failure = postern::channel::ParseProxyStatus(f.value);
      if (failure && !postern::channel::ParseProxyStatus(FormatProxyStatus(*failure)))
        __builtin_trap();
    }
  }
  void OnData(int32_t stream, std::span<const uint8_t> data) override {
    session->Consume(stream, data.size());
  }
  void OnEndOfBody(int32_t stream) override { session->ResumeBody(stream); }
  void OnClosed(int32_t stream, uint32_t) override { open_.erase(stream); }
  size_t ReadBody(int32_t, std::span<uint8_t> out, bool* end, Fields*) override {
    *end = true;
    out[0] = 'x';
    return 1;
  }

 private:
  std::set<int32_t> open_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  Answering handler;
  Http2Session session(Http2Session::Role::kBrokerServer, 8, handler);
  handler.session = &session;
  const size_t piece = data[0] % 64 + 1;
  static constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const auto feed = [&](const uint8_t* bytes, size_t n) {
    if (!session.Receive({bytes, n})) return false;
    for (;;) {
      const auto out = session.NextOutput();
      if (!out) return false;
      if (out->empty()) return true;
    }
  };
  if ((data[0] & 64) != 0 &&
      !feed(reinterpret_cast<const uint8_t*>(kPreface.data()), kPreface.size())) {
    return 0;
  }
  for (size_t at = 1; at < size; at += piece) {
    if (!feed(data + at, std::min(piece, size - at))) return 0;
  }
  return 0;
}
