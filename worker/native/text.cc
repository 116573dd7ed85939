// Natives for text: UTF-8, UTF-16 and Latin-1 decoding, base64.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "worker/native/arguments.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

using v8::Local;
using v8::String;
using v8::Value;

// Length of the longest prefix of `bytes` that does not end inside a UTF-8 sequence.
size_t CompletePrefix(std::span<const uint8_t> bytes) {
  for (size_t back = 1; back <= std::min<size_t>(3, bytes.size()); ++back) {
    const uint8_t c = bytes[bytes.size() - back];
    if ((c & 0xc0) == 0x80) continue;
    const size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return need > back && c <= 0xf4 ? bytes.size() - back : bytes.size();
  }
  return bytes.size();
}

bool ValidUtf8(std::span<const uint8_t> b) {
  for (size_t i = 0; i < b.size();) {
    const uint8_t c = b[i];
    if (c < 0x80) {
      ++i;
      continue;
    }
    const size_t n = c >= 0xc2 && c <= 0xdf   ? 1
                     : c >= 0xe0 && c <= 0xef ? 2
                     : c >= 0xf0 && c <= 0xf4 ? 3
                                              : 0;
    if (n == 0 || i + n >= b.size()) return false;
    const uint8_t second = b[i + 1];
    // Unicode table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.
    const uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high) return false;
    for (size_t k = 2; k <= n; ++k) {
      if ((b[i + k] & 0xc0) != 0x80) return false;
    }
    i += n + 1;
  }
  return true;
}

// utf8Decode(bytes, fatal): string; undefined where fatal and malformed.
void Utf8Decode(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto bytes = Bytes(args[0]);
  if (args[1]->IsTrue() && !ValidUtf8(bytes)) return;
  Local<String> text;
  if (bytes.size() > static_cast<size_t>(String::kMaxLength) ||
      !String::NewFromUtf8(isolate, reinterpret_cast<const char*>(bytes.data()),
                           v8::NewStringType::kNormal, static_cast<int>(bytes.size()))
           .ToLocal(&text)) {
    return ThrowRange(isolate, "the text is longer than a string can be");
  }
  args.GetReturnValue().Set(text);
}

// utf8Prefix(bytes): how many bytes end with a whole character.
void Utf8Prefix(const Args& args) {
  args.GetReturnValue().Set(static_cast<double>(CompletePrefix(Bytes(args[0]))));
}

// utf8Encode(string): Uint8Array
void Utf8Encode(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto text = StringOf(args, 0);
  const size_t size = text->Utf8LengthV2(isolate);
  Local<v8::ArrayBuffer> buffer;
  if (!v8::ArrayBuffer::MaybeNew(isolate, size, v8::BackingStoreInitializationMode::kUninitialized)
           .ToLocal(&buffer)) {
    return ThrowRange(isolate, "Array buffer allocation failed");
  }
  text->WriteUtf8V2(isolate, static_cast<char*>(buffer->Data()), size,
                    String::WriteFlags::kReplaceInvalidUtf8);
  args.GetReturnValue().Set(v8::Uint8Array::New(buffer, 0, size));
}

// utf8EncodeInto(string, bytes): [units read, bytes written]
void Utf8EncodeInto(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto text = StringOf(args, 0);
  const auto out = Bytes(args[1]);
  size_t read = 0;
  const size_t written = text->WriteUtf8V2(isolate, reinterpret_cast<char*>(out.data()), out.size(),
                                           String::WriteFlags::kReplaceInvalidUtf8, &read);
  Local<Value> pair[] = {v8::Number::New(isolate, static_cast<double>(read)),
                         v8::Number::New(isolate, static_cast<double>(written))};
  args.GetReturnValue().Set(v8::Array::New(isolate, pair, 2));
}

// latin1Decode(bytes): a string of one unit a byte
void Latin1Decode(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto bytes = Bytes(args[0]);
  Local<String> text;
  if (bytes.size() > static_cast<size_t>(String::kMaxLength) ||
      !String::NewFromOneByte(isolate, bytes.data(), v8::NewStringType::kNormal,
                              static_cast<int>(bytes.size()))
           .ToLocal(&text)) {
    return ThrowRange(isolate, "the text is longer than a string can be");
  }
  args.GetReturnValue().Set(text);
}

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// btoa(string): undefined where a unit is above 255
void Btoa(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const auto text = StringOf(args, 0);
  if (!text->ContainsOnlyOneByte()) return;
  const auto length = static_cast<uint32_t>(text->Length());
  std::string in(length, '\0');
  text->WriteOneByteV2(isolate, 0, length, reinterpret_cast<uint8_t*>(in.data()));
  std::string out;
  out.reserve((in.size() + 2) / 3 * 4);
  for (size_t i = 0; i < in.size(); i += 3) {
    const auto byte = [&](size_t k) -> uint32_t {
      return i + k < in.size() ? static_cast<uint8_t>(in[i + k]) : 0;
    };
    const uint32_t bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    out += kAlphabet[bits >> 18];
    out += kAlphabet[bits >> 12 & 63];
    out += i + 1 < in.size() ? kAlphabet[bits >> 6 & 63] : '=';
    out += i + 2 < in.size() ? kAlphabet[bits & 63] : '=';
  }
  args.GetReturnValue().Set(Str(isolate, out));
}

// atob(string): undefined where malformed (forgiving-base64 of the Infra standard)
void Atob(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  static const std::array<int8_t, 256> kValues = [] {
    std::array<int8_t, 256> v{};
    v.fill(-1);
    for (int i = 0; i < 64; ++i) v[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int8_t>(i);
    return v;
  }();
  std::string in;
  for (const char c : Text(args, 0)) {
    if (c != ' ' && c != '\t' && c != '\n' && c != '\f' && c != '\r') in += c;
  }
  if (in.size() % 4 == 0) {
    for (int i = 0; i < 2 && !in.empty() && in.back() == '='; ++i) in.pop_back();
  }
  if (in.size() % 4 == 1) return;
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : in) {
    const int8_t value = kValues[static_cast<uint8_t>(c)];
    if (value < 0) return;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) out += static_cast<char>(bits >> (count -= 8) & 0xff);
  }
  Local<String> text;  // shorter than what it came from
  if (String::NewFromOneByte(isolate, reinterpret_cast<const uint8_t*>(out.data()),
                             v8::NewStringType::kNormal, static_cast<int>(out.size()))
          .ToLocal(&text))
    args.GetReturnValue().Set(text);
}

}  // namespace

std::span<const Native> TextNatives() {
  static constexpr Native kNatives[] = {{"utf8Decode", Utf8Decode},
                                        {"utf8Prefix", Utf8Prefix},
                                        {"utf8Encode", Utf8Encode},
                                        {"utf8EncodeInto", Utf8EncodeInto},
                                        {"latin1Decode", Latin1Decode},
                                        {"btoa", Btoa},
                                        {"atob", Atob}};
  return kNatives;
}

}  // namespace postern::worker
