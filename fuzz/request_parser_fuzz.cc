// What a client sends: a request is the same however it is split, and what is left over is one
// line. The first two bytes say how.
#include <algorithm>
#include <string>

#include "server/http/request_parser.h"

using namespace postern;

namespace {

struct Heard : server::RequestParser::Sink {
  void OnHead(server::RequestHead head) override {
    text += head.method + " " + head.target;
    for (const channel::Field& f : head.fields) {
      if (f.name.empty() || f.value.find_first_of(std::string_view("\r\n\0", 3)) != f.value.npos)
        __builtin_trap();
      text += "\n" + f.name + "=" + f.value;
    }
  }
  void OnBody(std::string_view bytes) override { text += bytes; }
  void OnComplete() override { text += "\nend"; }
  std::string text;
};

struct Parsed {
  std::string text;
  int status = 0;
};

Parsed Parse(std::string_view bytes, size_t first, size_t then) {
  Heard heard;
  server::RequestParser parser(heard, 1 << 20);
  std::string unread;
  for (size_t n = first; !parser.complete() && !parser.problem() && !bytes.empty(); n = then) {
    n = std::min(n, bytes.size());
    unread += bytes.substr(0, n);
    bytes.remove_prefix(n);
    unread.erase(0, parser.Parse(unread));
    const bool over = parser.complete() || parser.problem();
    if (!over && unread.size() > server::kHeaderBytes) __builtin_trap();
  }
  return {heard.text, parser.problem() ? parser.problem()->status : 0};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Parsed whole = Parse(bytes, bytes.size(), 1);
  const Parsed split = Parse(bytes, data[0] + 1, data[1] + 1);
  if (whole.status != split.status) __builtin_trap();
  if (whole.status == 0 && whole.text != split.text) __builtin_trap();
  return 0;
}
