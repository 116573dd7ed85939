// Natives: the C++ functions that the runtime's JavaScript calls, as properties of one object that
// only that JavaScript ever holds. Each file of natives has a table; all addresses go into the
// snapshot.
#pragma once

#include <v8.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::worker {

struct Native {
  const char* name;
  v8::FunctionCallback function;
};

std::span<const Native> TextNatives();    // UTF-8, base64, decoders
std::span<const Native> UrlNatives();     // parsing, setters
std::span<const Native> SystemNatives();  // time, random, output, parts, exit
std::span<const Native> CloneNatives();   // structuredClone
std::span<const Native> CodecNatives();   // compression
std::span<const Native> CryptoNatives();  // hashes, derivation, ciphers
std::span<const Native> KeyNatives();     // keys of two halves
std::span<const Native> NumberNatives();  // primes
std::span<const Native> CertificateNatives();
std::span<const Native> ModuleNatives();  // the module loader
std::span<const Native> FileNatives();    // node:fs
std::span<const Native> BufferNatives();  // node:buffer
std::span<const Native> TypeNatives();    // node:util
std::span<const Native> NetNatives();     // fetch's side of the channel

// The object of all natives; the addresses, null-terminated, as V8 wants them for a snapshot.
v8::Local<v8::Object> MakeNatives(v8::Isolate* isolate, v8::Local<v8::Context> context);
const intptr_t* NativeAddresses();

// Short spellings for the files of natives.
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
