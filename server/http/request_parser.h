// RequestParser: HTTP/1.1 requests as a client sends them, to the letter of RFC 9112.
//
// Where two programs disagree on where a request ends, the rest of it is a second request for one
// of them (request smuggling). So whatever is not plainly one way is refused here, and the
// connection ends: a line that does not end in CR LF, a folded field, a blank before a colon, any
// length that is not digits alone and said once, any Transfer-Encoding but "chunked".
//
// The work is linear in what comes, however it is split; what is left over is one line at most.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "channel/http2_session.h"

namespace postern::server {

// Of a request's line, its header fields and its trailers together, in bytes.
inline constexpr size_t kHeaderBytes = 16 * 1024;
// Of a chunk's line, with its extensions; of all extensions of one body.
inline constexpr size_t kChunkLineBytes = 256;
inline constexpr size_t kChunkExtensionBytes = 16 * 1024;

struct RequestHead {
  std::string method, target;
  channel::Fields fields;  // in their order, names in lower case; no trailers
  bool http11 = true;
  bool keep_alive = true;
  bool chunked = false;
  uint64_t length = 0;  // of the body, where it is not chunked
  bool has_body() const { return chunked || length > 0; }
};

class RequestParser {
 public:
  // Why what came is no request: a status to answer with, and a sentence.
  struct Problem {
    int status = 400;
    std::string detail;
  };
  // Hears of the request. Bytes of the body are good until the call returns.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void OnHead(RequestHead head) = 0;
    virtual void OnBody(std::string_view bytes) = 0;
    virtual void OnComplete() = 0;
  };

  // `body_limit`: bytes; a body that is longer, or says that it will be, is a problem (413).
  RequestParser(Sink& sink, uint64_t body_limit) : sink_(sink), body_limit_(body_limit) {}

  // Takes of `bytes` what it can, to the request's end; says how many. What it leaves is given
  // again with what follows. After a problem, and after the end, it takes nothing.
  size_t Parse(std::string_view bytes);
  const std::optional<Problem>& problem() const { return problem_; }
  bool complete() const { return state_ == State::kComplete; }

 private:
  enum class State {
    kStart,
    kFields,
    kLength,
    kChunkLine,
    kChunk,
    kChunkEnd,
    kTrailers,
    kComplete
  };

  size_t Step(std::string_view bytes);
  size_t TakeBody(std::string_view bytes);
  std::optional<std::string_view> Line(std::string_view bytes, size_t limit, const char* what);
  void OnLine(std::string_view line);
  void RequestLine(std::string_view line);
  void FieldLine(std::string_view line);
  void ChunkLine(std::string_view line);
  void EndOfHead();
  void Complete();
  void Refuse(std::string detail, int status = 400);

  Sink& sink_;
  const uint64_t body_limit_;
  std::optional<Problem> problem_;
  State state_ = State::kStart;
  RequestHead head_;
  size_t scanned_ = 0;       // of the line that is not complete yet
  size_t header_bytes_ = 0;  // of complete lines
  size_t extension_bytes_ = 0;
  uint64_t body_bytes_ = 0;  // chunked: of the chunks until now
  uint64_t left_ = 0;        // of the body or the chunk
  bool blank_line_ = false;  // one came before the request's line
};

}  // namespace postern::server
