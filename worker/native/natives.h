// Natives: the C++ functions that the runtime's JavaScript calls, as properties of one object that
// only that JavaScript ever holds. Each file of natives has a table; all addresses go into the
// snapshot.
#pragma once

#include <v8.h>

#include <cstdint>
#include <span>
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

}  // namespace postern::worker
