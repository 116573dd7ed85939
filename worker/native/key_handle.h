// Key: an OpenSSL key that the runtime's JavaScript holds.
#pragma once

#include "worker/native/handle.h"
#include "worker/native/openssl.h"

namespace postern::worker {

class Key : public Handle {
 public:
  static constexpr char kKind = 0;
  explicit Key(OwnKey pkey) : pkey(std::move(pkey)) {}
  OwnKey pkey;
};

// nullptr where the argument is none.
inline EVP_PKEY* KeyOf(const Args& args, int i) {
  auto* key = Unwrap<Key>(args.GetIsolate(), args[i]);
  return key == nullptr ? nullptr : key->pkey.get();
}

// What a native gives for a key; undefined where there is none.
inline void ReturnKey(const Args& args, OwnKey key) {
  constexpr size_t kKeyBytes = 4096;
  ERR_clear_error();
  if (key)
    args.GetReturnValue().Set(
        Wrap(args.GetIsolate(), std::make_unique<Key>(std::move(key)), kKeyBytes));
}

}  // namespace postern::worker
