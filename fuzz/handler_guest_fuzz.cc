// The supervisor's end of the channel to a guest that answers requests, with requests under way,
// fed any bytes: every request hears of one end, or of none yet, and no field that passes could
// split a response.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <deque>

#include "server/handler/handler_instance.h"

namespace {

using postern::channel::Fields;
using postern::server::HandlerClient;
using postern::server::HandlerFailure;
using postern::server::HandlerInstance;
using postern::server::HandlerRequest;

constexpr int kRequests = 4;

struct Client : HandlerClient {
  bool over = false, head = false;
  void OnHead(int status, Fields fields, bool) override {
    if (over || head || status < 200 || status > 599) __builtin_trap();
    head = true;
    for (const auto& f : fields) {
      if (f.name.empty() || f.name.find_first_of("\r\n: ") != std::string::npos) __builtin_trap();
      if (f.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
        __builtin_trap();
    }
  }
  void OnBody(std::span<const uint8_t>) override {
    if (over || !head) __builtin_trap();
  }
  void OnEnd() override { End(); }
  void OnFailure(const HandlerFailure&) override { End(); }
  void End() {
    if (over) __builtin_trap();
    over = true;
  }
  size_t ReadBody(std::span<uint8_t> out, bool* end) override {
    *end = true;
    out[0] = 'x';
    return 1;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int up[2], down[2];
  if (::pipe2(up, O_CLOEXEC | O_NONBLOCK) != 0 || ::pipe2(down, O_CLOEXEC | O_NONBLOCK) != 0)
    __builtin_trap();
  boost::asio::io_context io{1};
  const auto turn = [&io] {
    io.restart();
    io.poll();
  };
  std::deque<Client> clients(kRequests);
  {
    const auto guest = std::make_shared<HandlerInstance>(
        io, 1, HandlerInstance::Options{.concurrency = kRequests},
        HandlerInstance::Callbacks{
            .ready = [] {},
            .answered = [] {},
            .freed = [] {},
            .refused = [](const auto& r) { static_cast<Client*>(r->client)->End(); },
            .ended = [](const auto&) {},
            .kill = [](const std::string&) {}});
    guest->OnChannel(postern::UniqueFd(up[0]), postern::UniqueFd(down[1]));
    for (Client& client : clients) {
      const auto request = std::make_shared<HandlerRequest>();
      request->fields = {{":method", &client == &clients[1] ? "HEAD" : "POST"},
                         {":scheme", "http"},
                         {":authority", "h"},
                         {":path", "/"}};
      request->has_body = &client == &clients[2];
      request->client = &client;
      guest->Send(request);
    }
    turn();
    char sink[65536];
    while (size > 0) {
      const ssize_t n = ::write(up[1], data, std::min<size_t>(size, 4096));
      if (n > 0) {
        data += n;
        size -= static_cast<size_t>(n);
      }
      turn();
      while (::read(down[0], sink, sizeof sink) > 0) {
      }
      if (n < 0 && errno != EAGAIN) break;
    }
    turn();
    guest->OnEnded({});
    turn();
  }
  for (const Client& client : clients) {
    if (!client.over) __builtin_trap();
  }
  ::close(up[1]);
  ::close(down[0]);
  return 0;
}
