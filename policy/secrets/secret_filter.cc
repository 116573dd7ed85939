#include "policy/secrets/secret_filter.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/characters.h"
#include "base/text.h"

namespace postern::policy {
namespace {

// As many characters around a block may be replaced as its index says; base64's base64 has most.
constexpr size_t kRemembered = 64;

using enum Syntax;
using enum EscapeLayers;
// What is read besides the text as it is: layers of escapes taken off one after the other, and what
// is behind each of them, so that a value with escapes of its own is met as it is written too. In
// the first one two rounds: JSON in a URL, a URL in JSON, either of them in HTML, HTML in them.
using Layer = std::pair<Syntax, EscapeLayers>;
const std::array<std::vector<Layer>, 6> kReadings = {
    {{{kForm, kOne},
      {kForm, kAll},
      {kBackslash, kAll},
      {kHtml, kAll},
      {kForm, kAll},
      {kBackslash, kAll},
      {kHtml, kAll},
      {kInvisible, kOne}},
     {{kPercent, kOne}, {kPercent, kOne}},
     {{kBackslash, kOne}, {kBackslash, kOne}, {kBackslash, kAll}},
     {{kHtml, kOne}, {kHtml, kOne}, {kHtml, kAll}},
     {{kSoftBreak, kOne}, {kQuotedPrintable, kOne}, {kQuotedPrintable, kAll}},
     {{kInvisible, kOne}}}};

// By a byte: which readings it wakes, as bits.
const std::array<uint8_t, 256> kWakes = [] {
  std::array<uint8_t, 256> wakes{};
  for (size_t byte = 0; byte < wakes.size(); ++byte) {
    for (size_t i = 0; i < kReadings.size(); ++i) {
      for (const auto& [syntax, layers] : kReadings[i]) {
        if (!Introduces(syntax, static_cast<uint8_t>(byte))) continue;
        wakes[byte] = static_cast<uint8_t>(wakes[byte] | 1 << i);
      }
    }
  }
  return wakes;
}();

// Whether it ends in an escape with braces, \u{6b}.
bool EndsInBraces(std::string_view text) {
  if (!text.ends_with('}')) return false;
  const size_t digits = text.find_last_not_of("0123456789abcdefABCDEF", text.size() - 2);
  return digits != std::string_view::npos && digits > 0 && text[digits] == '{' &&
         std::string_view("uUxX").find(text[digits - 1]) != std::string_view::npos;
}

uint8_t Lower(uint8_t byte) { return static_cast<uint8_t>(AsciiLower(static_cast<char>(byte))); }

}  // namespace

// Looks for blocks in one reading of the text, and marks what belongs to them.
class SecretFilter::Matcher {
 public:
  Matcher(const SecretIndex& index, std::vector<Mark>& marks) : index_(&index), marks_(&marks) {}

  void Push(const Glyph& g) {
    // What was dropped of an escape belongs to the character.
    const uint64_t begin = std::min(end_, g.begin);
    end_ = g.end;
    if (IsBreak(g.byte)) {
      after_break_ = true;
      blanks_from_ = kNone;
      return;
    }
    if (IsBlank(g.byte)) {
      if (after_ > 0 && !after_break_ && !spaced_ && !index_->Belongs(block_, ' ')) after_ = 0;
      if (!after_break_) blanks_from_ = std::min(blanks_from_, begin);
      return;
    }
    const FilteredCharacter c = {begin, std::min(blanks_from_, begin), g.end, Lower(g.byte)};
    after_break_ = false;
    blanks_from_ = kNone;
    key_ = key_ << 8 | c.byte;
    // What follows a value's last block is the value's own, or goes as what follows another.
    const bool awaited = FollowTails(c.byte);
    if (after_ > 0 && !awaited && !index_->Belongs(block_, c.byte)) after_ = 0;
    if (after_ > 0) {
      --after_;
      AddMark(c, block_, false);
    }
    if (ended_) after_ = end_after_;
    seen_[count_++ % kRemembered] = c;
    bool found = false;  // here
    for (const SecretIndex::Block& block : index_->Find(key_)) {
      if (Fits(block)) Found(block, std::exchange(found, true));
    }
  }

  // What comes now does not follow what came.
  void Reset() {
    key_ = 0;
    count_ = 0;
    after_ = tails_ = 0;
    end_ = blanks_from_ = kNone;
    first_at_ = kLongAgo;
  }

  // Whether it marks what follows whatever it is.
  bool busy() const { return after_ > 0; }

  static constexpr size_t kMemory = kRemembered;  // characters

 private:
  static constexpr uint64_t kNone = UINT64_MAX, kLongAgo = UINT64_MAX / 2;
  struct FilteredCharacter {
    uint64_t begin, blanks_begin, end;  // without and with the blanks before it
    uint8_t byte;
  };

  void AddMark(const FilteredCharacter& c, const SecretIndex::Block& block, bool begins) {
    const bool with_blanks = !begins && (spaced_ || index_->Belongs(block, ' '));
    const bool first = begins && block.first;
    marks_->push_back({with_blanks ? c.blanks_begin : c.begin, c.end, block.secret, first});
  }

  // Where a value may end: with one block several may, in as many forms.
  struct Tail {
    uint8_t left;  // characters that have not come yet
    uint8_t end;
    BlockKey key;
  };

  // Takes the next character of each. Whether it is one's; and `ended_` where one is complete.
  bool FollowTails(uint8_t byte) {
    ended_ = false;
    if (tails_ == 0) return false;
    size_t kept = 0;
    bool awaited = false;
    for (size_t i = 0; i < tails_; ++i) {
      Tail tail = tail_[i];
      const bool fits =
          tail.left > kBlock || static_cast<uint8_t>(tail.key >> 8 * (tail.left - 1)) == byte;
      if (!fits) continue;
      awaited = true;
      if (--tail.left > 0) {
        tail_[kept++] = tail;
      } else {
        ended_ = true;
        end_after_ = tail.end;
      }
    }
    tails_ = kept;
    return awaited;
  }

  bool Fits(const SecretIndex::Block& block) const {
    if (count_ < block.width) return false;
    for (size_t i = 0; i + kBlock < block.width; ++i) {
      if (seen_[(count_ - block.width + i) % kRemembered].byte != block.front[i]) return false;
    }
    return true;
  }

  // `again`: not the first block that is found with this character.
  void Found(SecretIndex::Block block, bool again) {
    // A value that repeats itself begins once.
    if (block.first && count_ - first_at_ < block.length) block.first = false;
    if (block.first) first_at_ = count_;
    spaced_ = false;
    for (size_t i = 1; i < block.width; ++i) {
      const FilteredCharacter& c = seen_[(count_ - i) % kRemembered];
      spaced_ = spaced_ || c.blanks_begin < c.begin;
    }
    const uint64_t remembered = std::min<uint64_t>(count_, kRemembered);
    uint64_t back = block.width;
    while (back < remembered && back < uint64_t{block.width} + block.before &&
           index_->Belongs(block, seen_[(count_ - back - 1) % kRemembered].byte)) {
      ++back;
    }
    for (bool begins = true; back > 0; --back, begins = false) {
      AddMark(seen_[(count_ - back) % kRemembered], block, begins);
    }
    block_ = block;
    if (!again) tails_ = 0;
    const bool over = block.last && block.tail == 0;
    after_ = over ? block.end : std::max<size_t>(block.after, after_);
    if (!block.last || over || tails_ == tail_.size()) return;
    tail_[tails_++] = {block.tail, block.end, block.tail_key};
  }

  const SecretIndex* index_;
  std::vector<Mark>* marks_;
  BlockKey key_ = 0;
  uint64_t count_ = 0;
  uint64_t first_at_ = kLongAgo;  // when a value's first block was found
  std::array<FilteredCharacter, kRemembered> seen_{};
  uint64_t end_ = kNone;          // of the last glyph
  uint64_t blanks_from_ = kNone;  // since the last character
  bool after_break_ = false;
  SecretIndex::Block block_{};  // the last one, and how many characters after it are marked too
  size_t after_ = 0;
  std::array<Tail, 16> tail_{};
  size_t tails_ = 0;
  bool spaced_ = false;  // the last block was found with blanks between its characters
  bool ended_ = false;   // with the last character a value was complete
  size_t end_after_ = 0;
};

// The text with layers of escapes taken off, and a matcher behind each layer. A layer sleeps where
// none of its escapes was seen for so long that it reads what the one before it reads.
class SecretFilter::Reading {
 public:
  Reading(const std::vector<Layer>& layers, const Matcher& plain) {
    for (const auto& [syntax, depth] : layers) {
      stages_.push_back({Unescaper(syntax, depth), plain, {}});
    }
  }

  // `plain` has not read `g` yet.
  void Push(const Glyph& g, const Matcher& plain) { Push(0, g, plain, nullptr); }
  void Flush() {
    for (size_t i = 0; i < stages_.size(); ++i) {
      std::vector<Glyph> rest;
      stages_[i].unescaper.Flush(rest);
      for (const Glyph& g : rest) Push(i + 1, g, stages_[i].matcher, &stages_[i].matcher);
    }
  }
  bool awake() const { return awake_ > 0; }

 private:
  struct Stage {
    Unescaper unescaper;
    Matcher matcher;
    std::vector<Glyph> out;
    bool awake = false;
    size_t quiet = 0;  // characters since the last that began an escape
  };

  // Gives `g` to the stages from `i` on, and then to `reads`, what reads the text before them if
  // it is not the plain one; `before` in any case.
  void Push(size_t i, const Glyph& g, const Matcher& before, Matcher* reads) {
    while (i < stages_.size() && !stages_[i].awake &&
           !Introduces(stages_[i].unescaper.syntax(), g.byte)) {
      ++i;
    }
    if (i < stages_.size()) PushAwake(i, g, before);
    if (reads != nullptr) reads->Push(g);
  }

  void PushAwake(size_t i, const Glyph& g, const Matcher& before) {
    Stage& stage = stages_[i];
    if (!stage.awake) {
      stage.matcher = before;
      stage.awake = true;
      ++awake_;
    }
    if (Introduces(stage.unescaper.syntax(), g.byte)) {
      stage.quiet = 0;
    } else if (!IsBlank(g.byte) && !IsBreak(g.byte)) {
      ++stage.quiet;
    }
    stage.out.clear();
    stage.unescaper.Push(g, stage.out);
    for (const Glyph& glyph : stage.out) Push(i + 1, glyph, stage.matcher, &stage.matcher);
    stage.awake = !stage.unescaper.idle() || stage.quiet <= Matcher::kMemory ||
                  stage.matcher.busy() || before.busy();
    if (!stage.awake) --awake_;
  }

  std::vector<Stage> stages_;
  size_t awake_ = 0;  // how many of them are
};

// Bytes as pairs of hexadecimal digits, with or without what separates them. Where a pair begins is
// not known: both ways are read.
class SecretFilter::HexReading {
 public:
  explicit HexReading(const Matcher& plain) : matchers_{plain, plain} {}

  void Push(const Glyph& g) {
    const int digit = HexDigit(static_cast<char>(g.byte));
    if (std::exchange(zero_, false) && g.byte != 'x' && g.byte != 'X') Digit(zero_at_, 0);
    if (digit == 0) {  // "0x": the prefix of a byte, or a digit
      zero_ = true;
      zero_at_ = g;
    } else if (digit > 0) {
      Digit(g, static_cast<uint8_t>(digit));
    } else if (reading_ && std::string_view(" \t\r\n:-,;_\\xX").find(static_cast<char>(g.byte)) ==
                               std::string_view::npos) {
      Reset();
    }
  }
  void Flush() {
    if (std::exchange(zero_, false)) Digit(zero_at_, 0);
  }

 private:
  void Digit(const Glyph& g, uint8_t digit) {
    if (reading_) {
      matchers_[which_].Push({last_.begin, g.end, static_cast<uint8_t>(last_.byte << 4 | digit)});
      which_ = 1 - which_;
    }
    reading_ = true;
    last_ = {g.begin, g.end, digit};
  }
  void Reset() {
    reading_ = false;
    for (Matcher& matcher : matchers_) matcher.Reset();
  }

  std::array<Matcher, 2> matchers_;
  size_t which_ = 0;
  bool reading_ = false;  // `last_` is a digit
  Glyph last_;
  bool zero_ = false;
  Glyph zero_at_;
};

// Bytes as decimal numbers: in a JSON array, as an object of indices, with what else separates
// them.
class SecretFilter::DecimalReading {
 public:
  explicit DecimalReading(const Matcher& plain) : matcher_(plain) {}

  void Push(const Glyph& g) {
    if (g.byte >= '0' && g.byte <= '9') {
      if (held_) ReleaseHeld();  // what was in quotes was no index
      if (digits_++ == 0) number_ = {g.begin, g.end, 0}, value_ = 0;
      number_.end = g.end;
      value_ = value_ * 10 + static_cast<unsigned>(g.byte - '0');
      if (digits_ > 3) Reset();
      return;
    }
    if (digits_ > 0) {
      digits_ = 0;
      if (value_ > 255) {
        Reset();
      } else {
        held_ = true;
        if (g.byte != '"') ReleaseHeld();
      }
    } else if (held_ && g.byte == ':') {
      held_ = false;  // {"0":115,"1":107}
    }
    if (reading_ && std::string_view(" \t\r\n,;.:-|/+\"").find(static_cast<char>(g.byte)) ==
                        std::string_view::npos) {
      Reset();
    }
  }
  void Flush() { Push({0, 0, 'x'}); }

 private:
  void ReleaseHeld() {
    held_ = false;
    number_.byte = static_cast<uint8_t>(value_);
    matcher_.Push(number_);
    reading_ = true;
  }
  void Reset() {
    reading_ = held_ = false;
    matcher_.Reset();
  }

  Matcher matcher_;
  bool reading_ = false;
  bool held_ = false;  // number_ is whole, and in quotes: whether it is an index shows what follows
  int digits_ = 0;
  unsigned value_ = 0;
  Glyph number_;
};

SecretFilter::SecretFilter(std::shared_ptr<const SecretIndex> index)
    : index_(std::move(index)),
      plain_(std::make_unique<Matcher>(*index_, marks_)),
      hex_(std::make_unique<HexReading>(*plain_)),
      decimal_(std::make_unique<DecimalReading>(*plain_)) {
  for (const auto& layers : kReadings) {
    readings_.push_back(std::make_unique<Reading>(layers, *plain_));
  }
}

SecretFilter::~SecretFilter() = default;

void SecretFilter::Read(std::string_view bytes) {
  uint64_t at = begin_ + held_.size();
  for (const char c : bytes) {
    const Glyph g = {at, at + 1, static_cast<uint8_t>(c)};
    ++at;
    const uint8_t wakes = kWakes[g.byte];
    uint8_t takes = wakes | awake_;
    while (takes != 0) {
      const int i = std::countr_zero(takes);
      takes &= takes - 1;
      const uint8_t bit = static_cast<uint8_t>(1 << i);
      Reading& reading = *readings_[static_cast<size_t>(i)];
      reading.Push(g, *plain_);
      awake_ = reading.awake() ? awake_ | bit : awake_ & ~bit;
    }
    plain_->Push(g);
    hex_->Push(g);
    decimal_->Push(g);
  }
}

void SecretFilter::Feed(std::string_view bytes, std::string& out) {
  Read(bytes);
  held_ += bytes;
  const size_t past = held_.size() - std::min(held_.size(), kHeldBytes);
  Release(begin_ + std::max(EndOfRecord(past), past), out);
}

// The last line end in held_, from `from` on, behind which no value goes on: an empty line, or one
// that a bracket or a quote closes that is no secret's. Any other may be in the middle of a value
// that was wrapped. 0 where there is none.
size_t SecretFilter::EndOfRecord(size_t from) const {
  for (size_t end = held_.rfind('\n'); end != std::string::npos && end >= from;
       end = end == 0 ? std::string::npos : held_.rfind('\n', end - 1)) {
    const size_t last = end > 0 && held_[end - 1] == '\r' ? end - 1 : end;  // behind what it holds
    if (last == 0 ? line_ended_ : held_[last - 1] == '\n') return end + 1;
    if (last > 0 && index_->Closes(static_cast<uint8_t>(held_[last - 1])) &&
        !EndsInBraces(std::string_view(held_).substr(0, last))) {
      return end + 1;
    }
  }
  return 0;
}

void SecretFilter::Flush(std::string& out) {
  for (const auto& reading : readings_) reading->Flush();
  hex_->Flush();
  decimal_->Flush();
  Release(begin_ + held_.size(), out);
}

void SecretFilter::AppendText(uint64_t begin, uint64_t end, std::string& out) {
  const std::string_view text = std::string_view(held_).substr(begin - begin_, end - begin);
  out += text;
  after_placeholder_ =
      after_placeholder_ && std::all_of(text.begin(), text.end(), [](char c) {
        return IsBreak(static_cast<uint8_t>(c)) || IsBlank(static_cast<uint8_t>(c));
      });
}

// Marks that touch or overlap are one group, unless a value begins anew. Returns where the next
// group begins in marks_.
size_t SecretFilter::EndOfGroup(size_t first, uint64_t* end) const {
  *end = marks_[first].end;
  size_t i = first + 1;
  for (; i < marks_.size(); ++i) {
    const Mark& m = marks_[i];
    if (m.begin > *end || (m.begin == *end && m.first)) break;
    *end = std::max(*end, m.end);
  }
  return i;
}

// Of secrets that begin alike the one of which there is most.
uint32_t SecretFilter::SecretOf(size_t first, size_t last) const {
  std::vector<uint32_t> counts(index_->size());
  for (size_t i = first; i < last; ++i) ++counts[marks_[i].secret];
  return static_cast<uint32_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
}

void SecretFilter::Release(uint64_t until, std::string& out) {
  const auto before = [](const Mark& a, const Mark& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.first && !b.first;
  };
  if (!std::is_sorted(marks_.begin(), marks_.end(), before)) {
    std::sort(marks_.begin(), marks_.end(), before);
  }
  uint64_t at = begin_;
  std::vector<Mark> rest;
  for (size_t i = 0; i < marks_.size();) {
    uint64_t end = 0;
    const size_t next = EndOfGroup(i, &end);
    const uint64_t begin = std::max(marks_[i].begin, begin_);
    if (begin >= until) {
      rest.insert(rest.end(), marks_.begin() + static_cast<ptrdiff_t>(i), marks_.end());
      break;
    }
    if (end > begin) {
      if (begin > at) AppendText(at, begin, out);
      const uint32_t secret = SecretOf(i, next);
      if (marks_[i].first || !after_placeholder_ || last_secret_ != secret) {
        out += index_->placeholder(secret);
      }
      after_placeholder_ = true;
      last_secret_ = secret;
      at = std::min(end, until);
      if (end > until) rest.push_back({until, end, secret, false});
    }
    i = next;
  }
  if (until > at) AppendText(at, until, out);
  marks_ = std::move(rest);
  if (until > begin_) line_ended_ = held_[until - begin_ - 1] == '\n';
  held_.erase(0, until - begin_);
  begin_ = until;
}

std::string WithoutSecrets(std::string_view text, const std::shared_ptr<const SecretIndex>& index) {
  if (text.size() < kBlock) return std::string(text);
  SecretFilter filter(index);
  std::string out;
  filter.Feed(text, out);
  filter.Flush(out);
  return out;
}

bool HoldsSecret(std::string_view text, const std::shared_ptr<const SecretIndex>& index) {
  return WithoutSecrets(text, index) != text;
}

}  // namespace postern::policy
