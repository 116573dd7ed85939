// Text as its reader has it: one layer of escapes taken off, byte by byte, each with the bytes of
// the stream that it stands for.
//
// Lenient on purpose: it serves to find a secret in whatever form an origin writes it, so that each
// syntax is read as the most generous of its readers would.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace postern::policy {

// A byte of text, and which bytes of a stream it stands for: [begin, end), counted from its start.
struct Glyph {
  uint64_t begin = 0, end = 0;
  uint8_t byte = 0;
};

// Line and page ends, and the NUL bytes of UTF-16: nothing that belongs to a text's words.
inline bool IsBreak(uint8_t byte) { return byte == 0 || (byte >= '\n' && byte <= '\r'); }
inline bool IsBlank(uint8_t byte) { return byte == ' ' || byte == '\t'; }

enum class Syntax : uint8_t {
  kPercent,          // %XX, %uXXXX (RFC 3986)
  kForm,             // the same, and + for a space (application/x-www-form-urlencoded)
  kBackslash,        // \uXXXX, \u{X}, \UXXXXXXXX, \xXX, \OOO, \n, \" (JSON, JavaScript, C, Python)
  kHtml,             // &#N; &#xN; &name;
  kSoftBreak,        // = before a line end (RFC 2045 section 6.7)
  kQuotedPrintable,  // the same, and =XX
  kInvisible,        // no escapes: Unicode's other blanks and line ends, and what shows nothing
};

// Whether an escape of `syntax` may begin with `byte`.
bool Introduces(Syntax syntax, uint8_t byte);

// How many layers of one syntax come off: with kAll an escape of the character that begins an
// escape
// (%25, \\, &amp;) begins one again.
enum class EscapeLayers : uint8_t { kOne, kAll };

// Takes glyphs, and appends to `out` what they are without escapes of its syntax.
class Unescaper {
 public:
  explicit Unescaper(Syntax syntax, EscapeLayers layers = EscapeLayers::kAll)
      : syntax_(syntax), layers_(layers) {}
  Syntax syntax() const { return syntax_; }
  void Push(const Glyph& glyph, std::vector<Glyph>& out);
  // What began as an escape and did not end is text.
  void Flush(std::vector<Glyph>& out);
  bool idle() const { return pending_.empty(); }

 private:
  void Run(bool end, std::vector<Glyph>& out);

  Syntax syntax_;
  EscapeLayers layers_;
  std::vector<Glyph> pending_;  // an escape's beginning: some twelve at most
};

}  // namespace postern::policy
