// ResponseReader: reads what an origin says before and after a response's body: status line, header
// fields, trailers, line by line as they come in. It checks, bounds and filters them; what is left
// is what the guest gets.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "channel/failure.h"
#include "channel/fields.h"
#include "policy/limits.h"
#include "policy/secrets/secret_index.h"

namespace postern::broker {

class ResponseReader {
 public:
  struct Options {
    std::string host_port;  // the origin's, for sentences
    const policy::NetworkLimits& limits;
    std::shared_ptr<const policy::SecretIndex> secrets;  // null: no secret ever goes there
    bool raw = false;  // the client sees the wire (channel/postern_fields.h)
  };
  explicit ResponseReader(Options options) : options_(std::move(options)) {}

  // A line of the head or, after StartTrailers, of the trailers, with its line end. A status line
  // begins a head anew: informational responses come before the response.
  enum class Line {
    kTaken,
    kEnd,     // the head is complete
    kRefused  // failure() says why
  };
  Line Take(std::string_view line);
  const channel::Failure& failure() const { return failure_; }
  // What follows are trailers.
  void StartTrailers();
  // A head that comes from elsewhere than an origin.
  void Set(int status, std::string reason, channel::Fields fields);
  // A 407 is the answer of a proxy that got the request itself.
  void set_from_proxy(bool from_proxy) { from_proxy_ = from_proxy; }

  int status() const { return status_; }
  const std::string& reason() const { return reason_; }
  const std::string& http_version() const { return http_version_; }  // "HTTP/1.1"
  const channel::Fields& fields() const { return fields_; }
  const std::optional<std::string>& content_length() const { return content_length_; }
  // Whether nothing but the connection's end says where the body of this method's response does.
  bool EndsWithItsConnection(std::string_view method) const;

  // A response with a length and chunks is read by its chunks, and may be an attempt to split a
  // response: drops the length. True where it did: the connection must serve no other.
  bool DropLengthOfChunks();
  // Drops the fields of a body that is not passed on.
  void DropBody();

  // What the guest gets before the body, and behind it. `peer`: " ADDRESS PORT" or "".
  channel::Fields ForGuest(const std::string& peer) const;
  channel::Fields TrailersForGuest() const;

 private:
  bool TakeStatusLine(std::string_view line);
  bool TakeField(std::string_view line);
  bool Unfold(std::string_view line);
  bool TakeLength(const std::string& written, const std::string& value);
  bool TakeTransferEncoding(const std::string& value);
  bool CountHeader(size_t bytes);
  bool Refuse(const channel::FailureKind& kind, std::string why);
  bool Malformed(std::string_view what);
  bool Unfilterable(const std::string& why);

  const Options options_;
  bool from_proxy_ = false;
  bool in_trailers_ = false;
  int status_ = 0;
  std::string reason_, http_version_;
  channel::Fields fields_, trailers_;
  std::vector<std::string> names_, trailer_names_;  // of the fields, as the origin wrote them
  size_t header_bytes_ = 0, header_count_ = 0;
  std::optional<std::string> content_length_;
  bool chunked_ = false;
  bool folds_ = false;  // the last field may go on in another line
  channel::Failure failure_;
};

// "WHAT is larger than the limit of LIMIT (KEY)"
channel::Failure TooLarge(const channel::FailureKind& kind, std::string_view what, int64_t limit,
                          const char* key);

}  // namespace postern::broker
