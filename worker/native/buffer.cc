// Natives for node:buffer: what Node's lib/buffer.js asks of its binding of that name. Offsets and
// lengths that come in are cut to the bytes that there are.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "worker/native/arguments.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

using v8::Local;
using v8::String;
using v8::Value;

// As lib/internal/util.js knows them, from `bufferEncodings`.
enum Encoding : uint8_t { kAscii, kUtf8, kBase64, kUcs2, kLatin1, kHex, kBuffer, kBase64Url };

constexpr char kBase64Text[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kBase64UrlText[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// An index as Node's bindings take it: a number cut to [0, most]; `otherwise` where it is none.
size_t Index(const Args& args, int i, size_t otherwise, size_t most) {
  return std::min(args[i]->IsNumber() ? Size(args, i) : otherwise, most);
}

// args: bytes, from, to
std::span<uint8_t> Slice(const Args& args) {
  const auto bytes = Bytes(args[0]);
  const size_t from = Index(args, 1, 0, bytes.size());
  const size_t to = Index(args, 2, bytes.size(), bytes.size());
  return to <= from ? std::span<uint8_t>() : bytes.subspan(from, to - from);
}

void ReturnText(const Args& args, v8::MaybeLocal<String> text) {
  Local<String> made;
  if (text.ToLocal(&made)) return args.GetReturnValue().Set(made);
  v8::Isolate* isolate = args.GetIsolate();
  const auto error =
      v8::Exception::Error(Str(isolate, "Cannot create a string longer than 0x1fffffe8 characters"))
          .As<v8::Object>();
  error
      ->Set(isolate->GetCurrentContext(), Str(isolate, "code"), Str(isolate, "ERR_STRING_TOO_LONG"))
      .Check();
  isolate->ThrowException(error);
}
v8::MaybeLocal<String> OneByte(const Args& args, const uint8_t* bytes, size_t size) {
  if (size > static_cast<size_t>(String::kMaxLength)) return {};
  return String::NewFromOneByte(args.GetIsolate(), bytes, v8::NewStringType::kNormal,
                                static_cast<int>(size));
}

std::string ToBase64(std::span<const uint8_t> in, bool url) {
  const char* alphabet = url ? kBase64UrlText : kBase64Text;
  std::string out;
  out.reserve((in.size() + 2) / 3 * 4);
  for (size_t i = 0; i < in.size(); i += 3) {
    const size_t left = in.size() - i;
    const uint32_t bits = static_cast<uint32_t>(in[i]) << 16 |
                          (left > 1 ? static_cast<uint32_t>(in[i + 1]) << 8 : 0) |
                          (left > 2 ? static_cast<uint32_t>(in[i + 2]) : 0);
    out += alphabet[bits >> 18];
    out += alphabet[bits >> 12 & 63];
    if (left > 1 || !url) out += left > 1 ? alphabet[bits >> 6 & 63] : '=';
    if (left > 2 || !url) out += left > 2 ? alphabet[bits & 63] : '=';
  }
  return out;
}

// Either alphabet; what is in neither is left out; "=" ends it.
std::string FromBase64(const std::string& in) {
  static const std::array<int8_t, 256> kValues = [] {
    std::array<int8_t, 256> v{};
    v.fill(-1);
    for (int i = 0; i < 64; ++i) {
      v[static_cast<uint8_t>(kBase64Text[i])] = static_cast<int8_t>(i);
      v[static_cast<uint8_t>(kBase64UrlText[i])] = static_cast<int8_t>(i);
    }
    return v;
  }();
  std::string out;
  out.reserve(in.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : in) {
    if (c == '=') break;
    const int8_t value = kValues[static_cast<uint8_t>(c)];
    if (value < 0) continue;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) out += static_cast<char>(bits >> (count -= 8) & 0xff);
  }
  return out;
}

int HexValue(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}
// As far as there are pairs of digits.
std::string FromHex(const std::string& in) {
  std::string out;
  for (size_t i = 0; i + 1 < in.size(); i += 2) {
    const int high = HexValue(in[i]), low = HexValue(in[i + 1]);
    if (high < 0 || low < 0) break;
    out += static_cast<char>(high << 4 | low);
  }
  return out;
}

std::string TwoBytes(v8::Isolate* isolate, Local<String> text) {
  std::string out(static_cast<size_t>(text->Length()) * 2, '\0');
  text->WriteV2(isolate, 0, static_cast<uint32_t>(text->Length()),
                reinterpret_cast<uint16_t*>(out.data()));
  return out;
}
std::string OneByteOf(v8::Isolate* isolate, Local<String> text) {
  std::string out(static_cast<size_t>(text->Length()), '\0');
  text->WriteOneByteV2(isolate, 0, static_cast<uint32_t>(text->Length()),
                       reinterpret_cast<uint8_t*>(out.data()));
  return out;
}
std::string WellFormedUtf8(v8::Isolate* isolate, Local<String> text) {
  std::string out(text->Utf8LengthV2(isolate), '\0');
  text->WriteUtf8V2(isolate, out.data(), out.size(), String::WriteFlags::kReplaceInvalidUtf8);
  return out;
}
std::string Encoded(v8::Isolate* isolate, Local<String> text, Encoding encoding) {
  switch (encoding) {
    case kUcs2:
      return TwoBytes(isolate, text);
    case kAscii:
    case kLatin1:
      return OneByteOf(isolate, text);
    case kBase64:
    case kBase64Url:
      return FromBase64(OneByteOf(isolate, text));
    case kHex:
      return FromHex(OneByteOf(isolate, text));
    default:
      return WellFormedUtf8(isolate, text);
  }
}

// ---- bytes to text

void Utf8Slice(const Args& args) {
  const auto bytes = Slice(args);
  if (bytes.size() > static_cast<size_t>(String::kMaxLength)) return ReturnText(args, {});
  ReturnText(args,
             String::NewFromUtf8(args.GetIsolate(), reinterpret_cast<const char*>(bytes.data()),
                                 v8::NewStringType::kNormal, static_cast<int>(bytes.size())));
}
void Latin1Slice(const Args& args) {
  const auto bytes = Slice(args);
  ReturnText(args, OneByte(args, bytes.data(), bytes.size()));
}
void AsciiSlice(const Args& args) {
  const auto bytes = Slice(args);
  std::string text(bytes.begin(), bytes.end());
  for (char& c : text) c = static_cast<char>(c & 0x7f);
  ReturnText(args, OneByte(args, reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}
void Ucs2Slice(const Args& args) {
  const auto bytes = Slice(args);
  if (bytes.size() / 2 > static_cast<size_t>(String::kMaxLength)) return ReturnText(args, {});
  std::vector<uint16_t> units(bytes.size() / 2);
  if (!units.empty()) std::memcpy(units.data(), bytes.data(), units.size() * 2);
  ReturnText(args,
             String::NewFromTwoByte(args.GetIsolate(), units.data(), v8::NewStringType::kNormal,
                                    static_cast<int>(units.size())));
}
void HexSlice(const Args& args) {
  constexpr char kDigits[] = "0123456789abcdef";
  const auto bytes = Slice(args);
  if (bytes.size() > static_cast<size_t>(String::kMaxLength) / 2) return ReturnText(args, {});
  std::string text;
  for (const uint8_t byte : bytes) text += {kDigits[byte >> 4], kDigits[byte & 15]};
  ReturnText(args, OneByte(args, reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}
template <bool url>
void Base64Slice(const Args& args) {
  const auto bytes = Slice(args);
  if (bytes.size() > static_cast<size_t>(String::kMaxLength)) return ReturnText(args, {});
  const std::string text = ToBase64(bytes, url);
  ReturnText(args, OneByte(args, reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

// ---- text to bytes: write(bytes, text, offset, length) gives how many were written

template <Encoding encoding>
void Write(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto bytes = Bytes(args[0]);
  if (!args[1]->IsString()) return ThrowType(isolate, "argument must be a string");
  const size_t from = Index(args, 2, 0, bytes.size());
  const size_t most = Index(args, 3, bytes.size() - from, bytes.size() - from);
  const auto room = bytes.subspan(from, most);
  const auto text = StringOf(args, 1);
  if constexpr (encoding == kUtf8) {
    // Whole characters only.
    const size_t written = text->WriteUtf8V2(isolate, reinterpret_cast<char*>(room.data()),
                                             room.size(), String::WriteFlags::kReplaceInvalidUtf8);
    return args.GetReturnValue().Set(static_cast<double>(written));
  }
  const std::string encoded = Encoded(isolate, text, encoding);
  size_t size = std::min(encoded.size(), room.size());
  if constexpr (encoding == kUcs2) size &= ~size_t{1};
  std::memcpy(room.data(), encoded.data(), size);
  args.GetReturnValue().Set(static_cast<double>(size));
}

void ByteLengthUtf8(const Args& args) {
  args.GetReturnValue().Set(
      static_cast<double>(StringOf(args, 0)->Utf8LengthV2(args.GetIsolate())));
}

// ---- comparing, copying, filling

int Compared(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  const int order = std::memcmp(a.data(), b.data(), std::min(a.size(), b.size()));
  if (order != 0) return order < 0 ? -1 : 1;
  return a.size() == b.size() ? 0 : a.size() < b.size() ? -1 : 1;
}
void Compare(const Args& args) {
  args.GetReturnValue().Set(Compared(Bytes(args[0]), Bytes(args[1])));
}
// compareOffset(source, target, target's start, source's start, target's end, source's end)
void CompareOffset(const Args& args) {
  const auto source = Bytes(args[0]), target = Bytes(args[1]);
  const size_t target_from = Index(args, 2, 0, target.size()),
               source_from = Index(args, 3, 0, source.size());
  const size_t target_to = std::max(target_from, Index(args, 4, 0, target.size()));
  const size_t source_to = std::max(source_from, Index(args, 5, 0, source.size()));
  args.GetReturnValue().Set(Compared(source.subspan(source_from, source_to - source_from),
                                     target.subspan(target_from, target_to - target_from)));
}
// copy(source, target, target's start, source's start, bytes)
void Copy(const Args& args) {
  const auto source = Bytes(args[0]), target = Bytes(args[1]);
  const size_t to = Index(args, 2, 0, target.size()), from = Index(args, 3, 0, source.size());
  const size_t size =
      std::min({Index(args, 4, 0, source.size()), target.size() - to, source.size() - from});
  std::memmove(target.data() + to, source.data() + from, size);
  args.GetReturnValue().Set(static_cast<double>(size));
}
Encoding EncodingNamed(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (name == "ucs2" || name == "ucs-2" || name == "utf16le" || name == "utf-16le") return kUcs2;
  if (name == "latin1" || name == "binary") return kLatin1;
  if (name == "ascii") return kAscii;
  if (name == "base64") return kBase64;
  if (name == "base64url") return kBase64Url;
  if (name == "hex") return kHex;
  return kUtf8;
}
// fill(bytes, a string, number from 0 to 2**32 - 1, or bytes, start, end, encoding): -2 out of
// range, -1 with nothing to fill with
void Fill(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto bytes = Bytes(args[0]);
  const size_t start = Size(args, 2), end = Size(args, 3);
  if (Number(args, 2) < 0 || end > bytes.size()) return args.GetReturnValue().Set(-2);
  if (start >= end) return;
  const auto room = bytes.subspan(start, end - start);
  std::string pattern;
  if (args[1]->IsString()) {
    pattern = Encoded(isolate, StringOf(args, 1), EncodingNamed(Text(args, 4)));
  } else if (args[1]->IsArrayBufferView()) {
    const auto given = Bytes(args[1]);
    pattern.assign(reinterpret_cast<const char*>(given.data()), given.size());
  } else {
    std::memset(room.data(), static_cast<int>(Uint32(args, 1) & 255), room.size());
    return;
  }
  if (pattern.empty()) return args.GetReturnValue().Set(-1);
  for (size_t i = 0; i < room.size(); i += pattern.size())
    std::memcpy(room.data() + i, pattern.data(), std::min(pattern.size(), room.size() - i));
}

// ---- searching: indexOf(bytes, what, offset, …, forwards, end)

// Where the search begins; -1 where nothing can be found.
int64_t StartOf(double offset, size_t haystack, size_t needle, bool forwards) {
  const auto size = static_cast<double>(haystack), wanted = static_cast<double>(needle);
  if (offset < 0) {
    if (offset + size >= 0)
      offset += size;
    else if (forwards || needle == 0)
      offset = 0;
    else
      return -1;
  } else if (offset + wanted > size) {
    if (needle == 0) return static_cast<int64_t>(haystack);
    if (forwards) return -1;
    offset = size - 1;
  }
  return static_cast<int64_t>(offset);
}

void Search(const Args& args, std::span<const uint8_t> haystack, std::span<const uint8_t> needle,
            double offset, bool forwards, size_t step) {
  args.GetReturnValue().Set(-1);
  int64_t at = StartOf(offset, haystack.size(), needle.size(), forwards);
  if (at < 0) return;
  if (needle.empty()) return args.GetReturnValue().Set(static_cast<double>(at));
  if (needle.size() > haystack.size()) return;
  if (forwards) {
    auto from = haystack.begin() + at;
    for (;;) {
      const auto found = std::search(from, haystack.end(), needle.begin(), needle.end());
      if (found == haystack.end()) return;
      const auto where = found - haystack.begin();
      if (static_cast<size_t>(where) % step == 0)
        return args.GetReturnValue().Set(static_cast<double>(where));
      from = found + 1;
    }
  }
  at = std::min<int64_t>(at, static_cast<int64_t>(haystack.size() - needle.size()));
  for (; at >= 0; --at) {
    if (static_cast<size_t>(at) % step == 0 &&
        std::memcmp(haystack.data() + at, needle.data(), needle.size()) == 0)
      return args.GetReturnValue().Set(static_cast<double>(at));
  }
}
double Offset(const Args& args, int i) { return std::trunc(Number(args, i)); }
// As bufferEncodings numbers it.
Encoding EncodingOf(const Args& args, int i) {
  const uint32_t number = Uint32(args, i);
  return number <= kBase64Url && args[i]->IsNumber() ? static_cast<Encoding>(number) : kUtf8;
}
std::span<uint8_t> Haystack(const Args& args, int end) {
  const auto bytes = Bytes(args[0]);
  return bytes.first(Index(args, end, bytes.size(), bytes.size()));
}
void IndexOfString(const Args& args) {
  const Encoding encoding = EncodingOf(args, 3);
  const std::string needle = Encoded(args.GetIsolate(), StringOf(args, 1), encoding);
  Search(args, Haystack(args, 5), {reinterpret_cast<const uint8_t*>(needle.data()), needle.size()},
         Offset(args, 2), args[4]->IsTrue(), encoding == kUcs2 ? 2 : 1);
}
void IndexOfBuffer(const Args& args) {
  const Encoding encoding = EncodingOf(args, 3);
  Search(args, Haystack(args, 5), Bytes(args[1]), Offset(args, 2), args[4]->IsTrue(),
         encoding == kUcs2 ? 2 : 1);
}
void IndexOfNumber(const Args& args) {
  const auto byte = static_cast<uint8_t>(Uint32(args, 1) & 255);
  Search(args, Haystack(args, 4), {&byte, 1}, Offset(args, 2), args[3]->IsTrue(), 1);
}

template <size_t width>
void Swap(const Args& args) {
  const auto bytes = Bytes(args[0]);
  for (size_t i = 0; i + width <= bytes.size(); i += width)
    std::reverse(bytes.begin() + static_cast<ptrdiff_t>(i),
                 bytes.begin() + static_cast<ptrdiff_t>(i + width));
  args.GetReturnValue().Set(args[0]);
}

void IsAscii(const Args& args) {
  const auto bytes = Bytes(args[0]);
  args.GetReturnValue().Set(
      std::all_of(bytes.begin(), bytes.end(), [](uint8_t c) { return c < 0x80; }));
}

// createUnsafeArrayBuffer(bytes): its memory is zeroed all the same; a guest's is never another's
void CreateUnsafeArrayBuffer(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  Local<v8::ArrayBuffer> buffer;
  const size_t size = Size(args, 0);
  if (!HasRoom(isolate, size)) return;
  if (!v8::ArrayBuffer::MaybeNew(isolate, size).ToLocal(&buffer))
    return ThrowRange(isolate, "Array buffer allocation failed");
  args.GetReturnValue().Set(buffer);
}

// bufferLimits(): [most bytes of an array buffer, most units of a string]
void BufferLimits(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  Local<Value> both[] = {
      v8::Number::New(isolate, static_cast<double>(v8::TypedArray::kMaxByteLength)),
      v8::Integer::New(isolate, String::kMaxLength)};
  args.GetReturnValue().Set(v8::Array::New(isolate, both, 2));
}

}  // namespace

std::span<const Native> BufferNatives() {
  static constexpr Native kNatives[] = {{"utf8Slice", Utf8Slice},
                                        {"latin1Slice", Latin1Slice},
                                        {"asciiSlice", AsciiSlice},
                                        {"ucs2Slice", Ucs2Slice},
                                        {"hexSlice", HexSlice},
                                        {"base64Slice", Base64Slice<false>},
                                        {"base64urlSlice", Base64Slice<true>},
                                        {"utf8Write", Write<kUtf8>},
                                        {"latin1Write", Write<kLatin1>},
                                        {"ucs2Write", Write<kUcs2>},
                                        {"hexWrite", Write<kHex>},
                                        {"base64Write", Write<kBase64>},
                                        {"byteLengthUtf8", ByteLengthUtf8},
                                        {"compareBytes", Compare},
                                        {"compareOffset", CompareOffset},
                                        {"copyBytes", Copy},
                                        {"fillBytes", Fill},
                                        {"indexOfString", IndexOfString},
                                        {"indexOfBuffer", IndexOfBuffer},
                                        {"indexOfNumber", IndexOfNumber},
                                        {"swap16", Swap<2>},
                                        {"swap32", Swap<4>},
                                        {"swap64", Swap<8>},
                                        {"isAscii", IsAscii},
                                        {"createUnsafeArrayBuffer", CreateUnsafeArrayBuffer},
                                        {"bufferLimits", BufferLimits}};
  return kNatives;
}

}  // namespace postern::worker
