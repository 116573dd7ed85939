// V8's values from C++: short spellings for strings, bytes and exceptions.
#pragma once

#include <v8.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace postern::worker {

using Args = v8::FunctionCallbackInfo<v8::Value>;
// "", with a RangeError pending, of text that is longer than a string can be.
v8::Local<v8::String> Str(v8::Isolate* isolate, std::string_view text);
// May run JavaScript: a native takes its arguments by arguments.h.
inline std::string Utf8(v8::Isolate* isolate, v8::Local<v8::Value> value) {
  const v8::String::Utf8Value text(isolate, value);
  return *text == nullptr ? std::string() : std::string(*text, static_cast<size_t>(text.length()));
}
// The bytes of an ArrayBufferView or ArrayBuffer, valid until JavaScript runs again; none, but
// never a null pointer, for anything else and for what is detached or out of its buffer's bounds.
std::span<uint8_t> Bytes(v8::Local<v8::Value> value);
// A Uint8Array with a copy of `bytes`; empty (with an exception pending) when memory is short.
v8::MaybeLocal<v8::Uint8Array> NewBytes(v8::Isolate* isolate, std::span<const uint8_t> bytes);
// The same without copying: the array keeps the string. Counted against the guest's memory.
v8::MaybeLocal<v8::Uint8Array> AdoptBytes(v8::Isolate* isolate, std::string bytes);
// False, with a RangeError pending, where the guest's memory has no room for `size` bytes, which
// JavaScript asked for.
bool HasRoom(v8::Isolate* isolate, size_t size);
void ThrowType(v8::Isolate* isolate, std::string_view message);
void ThrowRange(v8::Isolate* isolate, std::string_view message);

}  // namespace postern::worker
