// SecretFilter: a stream of bytes without secrets. Where a part of a value stands, in any of the
// forms below, its placeholder stands in what comes out.
//
// Forms: as it is, in upper or lower case, with line ends or blanks in it; with %XX, \uXXXX, &#N;
// and their like, in layers; quoted-printable; base64, and base64 of that; hexadecimal and decimal
// bytes with what usually separates them; UTF-16. What counts as a part of a value, and what of its
// surroundings goes with it, is secret_index.h's.
//
// The last kHeldBytes that came are held back, whatever they are, until more come, a record ends or
// all is over. A record ends with an empty line, as an event's does, or with a line that a bracket
// or a quote closes, as a line of JSON: any other line end may lie in the middle of a value that
// was wrapped. Nothing is ever released because time passed. Memory: what one Feed brings and
// kHeldBytes; time: linear.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/secrets/secret_index.h"
#include "policy/secrets/unescape.h"

namespace postern::policy {

class SecretFilter {
 public:
  explicit SecretFilter(std::shared_ptr<const SecretIndex> index);
  SecretFilter(const SecretFilter&) = delete;
  SecretFilter& operator=(const SecretFilter&) = delete;
  ~SecretFilter();

  // Takes `bytes`, and appends to `out` what is ready.
  void Feed(std::string_view bytes, std::string& out);
  // The end: appends what was held back.
  void Flush(std::string& out);

  // Fifteen characters, each as long as an escape usually is.
  static constexpr size_t kHeldBytes = 256;

 private:
  class Matcher;
  class Reading;
  class HexReading;
  class DecimalReading;

  // Bytes [begin, end) of the stream belong to a secret, whose value begins there if `first`.
  struct Mark {
    uint64_t begin, end;
    uint32_t secret;
    bool first;
  };

  void Read(std::string_view bytes);
  size_t EndOfRecord(size_t from) const;
  void Release(uint64_t until, std::string& out);
  size_t EndOfGroup(size_t first, uint64_t* end) const;
  uint32_t SecretOf(size_t first, size_t last) const;
  void AppendText(uint64_t begin, uint64_t end, std::string& out);

  const std::shared_ptr<const SecretIndex> index_;
  uint64_t begin_ = 0;  // of what is held, in the stream
  std::string held_;
  bool line_ended_ = true;  // with the last byte before what is held
  std::vector<Mark> marks_;
  // Whether the last thing that came out was a placeholder, but for line ends and blanks; and
  // whose.
  bool after_placeholder_ = false;
  uint32_t last_secret_ = 0;

  std::unique_ptr<Matcher> plain_;
  std::vector<std::unique_ptr<Reading>> readings_;
  std::unique_ptr<HexReading> hex_;
  std::unique_ptr<DecimalReading> decimal_;
  uint8_t awake_ = 0;  // which of them are, as bits
};

// `text` without secrets.
std::string WithoutSecrets(std::string_view text, const std::shared_ptr<const SecretIndex>& index);

// Whether there is (a part of) a secret in `text`.
bool HoldsSecret(std::string_view text, const std::shared_ptr<const SecretIndex>& index);

}  // namespace postern::policy
