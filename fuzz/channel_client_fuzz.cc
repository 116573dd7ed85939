// The client side of a channel, with requests under way, fed any bytes in pieces as if a broker
// that was taken over sent them: it fails or goes on, and each request is closed at most once.
#include <algorithm>
#include <map>
#include <set>

#include "channel/failure.h"
#include "channel/http2_session.h"

namespace {

using postern::channel::Fields;
using postern::channel::Http2Session;

constexpr int kRequests = 4;

class Asking : public Http2Session::Observer {
 public:
  Http2Session* session = nullptr;
  std::set<int32_t> open;
  std::map<int32_t, size_t> unread;

  void OnHeaders(int32_t stream, Fields fields, bool) override {
    if (!open.contains(stream)) __builtin_trap();  // a stream that nobody asked for
    for (const auto& f : fields) {
      const auto failure = postern::channel::ParseProxyStatus(f.value);
      if (failure && !postern::channel::ParseProxyStatus(FormatProxyStatus(*failure)))
        __builtin_trap();
    }
  }
  void OnData(int32_t stream, std::span<const uint8_t> data) override {
    if (!open.contains(stream)) __builtin_trap();
    size_t& waiting = unread[stream];
    waiting += data.size();
    if (waiting > postern::channel::kStreamWindow) __builtin_trap();  // more than was granted
    if (stream % 4 == 1) session->Consume(stream, std::exchange(waiting, 0));
  }
  void OnEndOfBody(int32_t stream) override {}
  void OnClosed(int32_t stream, uint32_t) override {
    if (open.erase(stream) != 1) __builtin_trap();
  }
  size_t ReadBody(int32_t, std::span<uint8_t> out, bool* end, Fields*) override {
    *end = out.size() > 1;
    out[0] = 'x';
    return 1;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  Asking handler;
  Http2Session session(Http2Session::Role::kGuestClient, 8, handler);
  handler.session = &session;
  for (int i = 0; i < kRequests; ++i) {
    const auto stream = session.Request({{":method", i % 2 == 0 ? "GET" : "POST"},
                                         {":scheme", "https"},
                                         {":authority", "example.com"},
                                         {":path", "/"}},
                                        i % 2 != 0);
    if (!stream) return 0;
    handler.open.insert(*stream);
  }
  const auto drain = [&] {
    for (;;) {
      const auto out = session.NextOutput();
      if (!out) return false;
      if (out->empty()) return true;
    }
  };
  if (!drain()) return 0;
  const size_t piece = data[0] + 1;
  for (size_t at = 1; at < size; at += piece) {
    if (!session.Receive({data + at, std::min(piece, size - at)}) || !drain()) return 0;
  }
  return 0;
}
