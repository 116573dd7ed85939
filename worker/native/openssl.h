// What the natives over the host executable's OpenSSL share: owners of its objects, and arguments.
// Where OpenSSL refuses an input, a native returns undefined: the JavaScript knows which error its
// standard wants.
#pragma once

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/format.h"
#include "worker/native/arguments.h"

namespace postern::worker {

using ByteView = std::span<const uint8_t>;
using ByteString = std::vector<uint8_t>;
// Below what an int can count by all that is put around bytes.
inline constexpr size_t kMostBytes = 1u << 30;

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
template <class T, auto Free>
using Own = std::unique_ptr<T, Freed<Free>>;
using OwnKey = Own<EVP_PKEY, EVP_PKEY_free>;
using OwnKeyContext = Own<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using OwnDigest = Own<EVP_MD, EVP_MD_free>;
using OwnDigestContext = Own<EVP_MD_CTX, EVP_MD_CTX_free>;
using OwnMacContext = Own<EVP_MAC_CTX, EVP_MAC_CTX_free>;
using OwnNumber = Own<BIGNUM, BN_clear_free>;

// A native for which no argument has more bytes than an int can count, which is what OpenSSL does.
template <v8::FunctionCallback function>
void InInts(const Args& args) {
  for (int i = 0; i < args.Length(); ++i) {
    if (Bytes(args[i]).size() > kMostBytes)
      return ThrowRange(args.GetIsolate(),
                        fmt::format("more than {} bytes are too many at once", kMostBytes));
  }
  function(args);
}
// How many bytes a result is to have; nullopt, with an exception pending, where the guest's memory
// has no room for them.
inline std::optional<size_t> ResultSize(const Args& args, int i) {
  const size_t size = Size(args, i);
  if (size > kMostBytes || !HasRoom(args.GetIsolate(), size)) {
    if (size > kMostBytes) ThrowRange(args.GetIsolate(), "Array buffer allocation failed");
    return std::nullopt;
  }
  return size;
}
inline void Return(const Args& args, ByteView bytes) {
  v8::Local<v8::Uint8Array> array;
  if (NewBytes(args.GetIsolate(), bytes).ToLocal(&array)) args.GetReturnValue().Set(array);
}
inline void Return(const Args& args, const std::optional<ByteString>& bytes) {
  ERR_clear_error();
  if (bytes) Return(args, ByteView(*bytes));
}

// No configuration file is read: a guest has no files, and wants none.
inline void StartOpenSsl() {
  static const int started = OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  (void)started;
}

inline OwnDigest FetchDigest(const std::string& name) {
  StartOpenSsl();
  return OwnDigest(EVP_MD_fetch(nullptr, name.c_str(), nullptr));
}

}  // namespace postern::worker
