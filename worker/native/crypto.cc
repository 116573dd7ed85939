// Natives for hashes, derivation and ciphers: what crypto.subtle and node:crypto are made of.
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/format.h"
#include "worker/native/handle.h"
#include "worker/native/natives.h"
#include "worker/native/openssl.h"

namespace postern::worker {
namespace {

using v8::Local;
using v8::Value;

// ---- hashes

// digest(OpenSSL's name, bytes)
void Digest(const Args& args) {
  const OwnDigest md = FetchDigest(Text(args, 0));
  if (!md) return;
  const auto bytes = Bytes(args[1]);
  ByteString out(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, md.get(), nullptr) != 1) return;
  Return(args, ByteView(out.data(), size));
}

// A hash or an HMAC, in pieces.
class Hash : public Handle {
 public:
  static constexpr char kKind = 0;
  OwnDigestContext digest;
  OwnMacContext mac;
  size_t size = 0;  // of what it gives; may be chosen for the extendable ones
  bool extendable = false;
  bool finished = false;
};

constexpr size_t kHashBytes = 512;

// hashOpen(name, size or undefined): undefined where there is no such hash, or none of that size
void HashOpen(const Args& args) {
  const OwnDigest md = FetchDigest(Text(args, 0));
  if (!md) return ERR_clear_error();
  auto hash = std::make_unique<Hash>();
  hash->digest.reset(EVP_MD_CTX_new());
  hash->extendable = (EVP_MD_get_flags(md.get()) & EVP_MD_FLAG_XOF) != 0;
  hash->size = static_cast<size_t>(std::max(EVP_MD_get_size(md.get()), 0));
  if (args[1]->IsNumber()) {
    const size_t size = Size(args, 1);
    if (!hash->extendable && size != hash->size) return;
    hash->size = size;
  } else if (hash->extendable && hash->size == 0) {
    hash->size = Text(args, 0).find("128") != std::string::npos ? 16 : 32;
  }
  if (EVP_DigestInit_ex2(hash->digest.get(), md.get(), nullptr) != 1) return ERR_clear_error();
  args.GetReturnValue().Set(Wrap(args.GetIsolate(), std::move(hash), kHashBytes));
}

OwnMacContext StartHmac(const std::string& name, ByteView key) {
  StartOpenSsl();
  const Own<EVP_MAC, EVP_MAC_free> hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  OwnMacContext context(hmac ? EVP_MAC_CTX_new(hmac.get()) : nullptr);
  std::string digest = name;
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  // OpenSSL takes no key of no bytes without a pointer.
  static const uint8_t kNone = 0;
  if (!context ||
      EVP_MAC_init(context.get(), key.empty() ? &kNone : key.data(), key.size(), parameters) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  return context;
}

// hmacOpen(name, key)
void HmacOpen(const Args& args) {
  auto hash = std::make_unique<Hash>();
  hash->mac = StartHmac(Text(args, 0), Bytes(args[1]));
  if (!hash->mac) return;
  hash->size = EVP_MAC_CTX_get_mac_size(hash->mac.get());
  args.GetReturnValue().Set(Wrap(args.GetIsolate(), std::move(hash), kHashBytes));
}

// hashUpdate(hash, bytes)
void HashUpdate(const Args& args) {
  auto* hash = Unwrap<Hash>(args.GetIsolate(), args[0]);
  if (hash == nullptr || hash->finished) return ThrowType(args.GetIsolate(), "not a hash");
  const auto bytes = Bytes(args[1]);
  if (hash->mac)
    EVP_MAC_update(hash->mac.get(), bytes.data(), bytes.size());
  else
    EVP_DigestUpdate(hash->digest.get(), bytes.data(), bytes.size());
}

// hashCopy(hash): another that goes on from here; may be given another size
void HashCopy(const Args& args) {
  auto* hash = Unwrap<Hash>(args.GetIsolate(), args[0]);
  if (hash == nullptr || !hash->digest || hash->finished) return;
  auto copy = std::make_unique<Hash>();
  copy->digest.reset(EVP_MD_CTX_new());
  copy->extendable = hash->extendable;
  copy->size = hash->size;
  if (args[1]->IsNumber() && hash->extendable) copy->size = Size(args, 1);
  if (EVP_MD_CTX_copy_ex(copy->digest.get(), hash->digest.get()) != 1) return ERR_clear_error();
  args.GetReturnValue().Set(Wrap(args.GetIsolate(), std::move(copy), kHashBytes));
}

// hashDigest(hash): the bytes; nothing can be added after
void HashDigest(const Args& args) {
  auto* hash = Unwrap<Hash>(args.GetIsolate(), args[0]);
  if (hash == nullptr || hash->finished) return ThrowType(args.GetIsolate(), "not a hash");
  if (!HasRoom(args.GetIsolate(), hash->size)) return;
  hash->finished = true;
  ByteString out(std::max<size_t>(hash->size, EVP_MAX_MD_SIZE));
  bool ok = true;
  if (hash->mac) {
    size_t size = 0;
    ok = EVP_MAC_final(hash->mac.get(), out.data(), &size, out.size()) == 1;
    out.resize(ok ? size : 0);
  } else {
    ok = hash->extendable ? EVP_DigestFinalXOF(hash->digest.get(), out.data(), hash->size) == 1
                          : EVP_DigestFinal_ex(hash->digest.get(), out.data(), nullptr) == 1;
    out.resize(hash->size);
  }
  ERR_clear_error();
  if (ok) Return(args, ByteView(out));
}

// hashNames(): of all hashes
void HashNames(const Args& args) {
  StartOpenSsl();
  std::vector<Local<Value>> names;
  struct Found {
    v8::Isolate* isolate;
    std::vector<Local<Value>>* names;
  } found{args.GetIsolate(), &names};
  EVP_MD_do_all_provided(
      nullptr,
      [](EVP_MD* md, void* data) {
        auto* f = static_cast<Found*>(data);
        f->names->push_back(Str(f->isolate, EVP_MD_get0_name(md)));
      },
      &found);
  args.GetReturnValue().Set(v8::Array::New(args.GetIsolate(), names.data(), names.size()));
}

// hmac(name, key, bytes)
void Hmac(const Args& args) {
  const OwnMacContext mac = StartHmac(Text(args, 0), Bytes(args[1]));
  if (!mac) return;
  const auto bytes = Bytes(args[2]);
  ByteString out(EVP_MAX_MD_SIZE);
  size_t size = 0;
  if (EVP_MAC_update(mac.get(), bytes.data(), bytes.size()) == 1 &&
      EVP_MAC_final(mac.get(), out.data(), &size, out.size()) == 1)
    Return(args, ByteView(out.data(), size));
  ERR_clear_error();
}

// equal(bytes, bytes of the same length), in a time that does not tell where they differ
void Equal(const Args& args) {
  const auto a = Bytes(args[0]), b = Bytes(args[1]);
  args.GetReturnValue().Set(a.size() == b.size() &&
                            CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

// ---- derivation

// pbkdf2(hash, password, salt, iterations, bytes)
void Pbkdf2(const Args& args) {
  const OwnDigest md = FetchDigest(Text(args, 0));
  if (!md) return ERR_clear_error();
  const auto size = ResultSize(args, 4);
  if (!size) return;
  const auto password = Bytes(args[1]), salt = Bytes(args[2]);
  ByteString out(*size);
  const bool ok = PKCS5_PBKDF2_HMAC(reinterpret_cast<const char*>(password.data()),
                                    static_cast<int>(password.size()), salt.data(),
                                    static_cast<int>(salt.size()), Int(args, 3), md.get(),
                                    static_cast<int>(out.size()), out.data()) == 1;
  Return(args, ok ? std::optional(std::move(out)) : std::nullopt);
}

std::optional<ByteString> Derive(const char* kdf, OSSL_PARAM* parameters, size_t size) {
  StartOpenSsl();
  const Own<EVP_KDF, EVP_KDF_free> algorithm(EVP_KDF_fetch(nullptr, kdf, nullptr));
  const Own<EVP_KDF_CTX, EVP_KDF_CTX_free> context(algorithm ? EVP_KDF_CTX_new(algorithm.get())
                                                             : nullptr);
  ByteString out(size);
  if (!context || EVP_KDF_derive(context.get(), out.data(), out.size(), parameters) != 1)
    return std::nullopt;
  return out;
}

OSSL_PARAM Octets(const char* name, ByteView bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<uint8_t*>(bytes.data()), bytes.size());
}

// hkdf(hash, key, salt, info, bytes)
void Hkdf(const Args& args) {
  const auto size = ResultSize(args, 4);
  if (!size) return;
  std::string hash = Text(args, 0);
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash.data(), 0),
      Octets(OSSL_KDF_PARAM_KEY, Bytes(args[1])), Octets(OSSL_KDF_PARAM_SALT, Bytes(args[2])),
      Octets(OSSL_KDF_PARAM_INFO, Bytes(args[3])), OSSL_PARAM_construct_end()};
  Return(args, Derive("HKDF", parameters, *size));
}

// scrypt(password, salt, N, r, p, memory, bytes)
void Scrypt(const Args& args) {
  const auto size = ResultSize(args, 6);
  if (!size) return;
  uint64_t n = Size(args, 2), memory = Size(args, 5);
  uint32_t r = Uint32(args, 3), p = Uint32(args, 4);
  OSSL_PARAM parameters[] = {Octets(OSSL_KDF_PARAM_PASSWORD, Bytes(args[0])),
                             Octets(OSSL_KDF_PARAM_SALT, Bytes(args[1])),
                             OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
                             OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
                             OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
                             OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
                             OSSL_PARAM_construct_end()};
  Return(args, Derive("SCRYPT", parameters, *size));
}

// ---- ciphers

constexpr size_t kBlock = 16;

using OwnCipher = Own<EVP_CIPHER, EVP_CIPHER_free>;
using OwnCipherContext = Own<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>;

bool HasTag(const EVP_CIPHER* cipher) {
  return (EVP_CIPHER_get_flags(cipher) & EVP_CIPH_FLAG_AEAD_CIPHER) != 0;
}

// A context that is ready for data; null where the key or the iv does not fit.
OwnCipherContext StartCipher(const EVP_CIPHER* cipher, bool encrypt, ByteView key, ByteView iv) {
  if (static_cast<size_t>(EVP_CIPHER_get_key_length(cipher)) != key.size()) return nullptr;
  OwnCipherContext context(EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  const int way = encrypt ? 1 : 0;
  if (EVP_CipherInit_ex2(context.get(), cipher, nullptr, nullptr, way, nullptr) != 1 ||
      (HasTag(cipher) && EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_IVLEN,
                                             static_cast<int>(iv.size()), nullptr) != 1) ||
      EVP_CipherInit_ex2(context.get(), nullptr, key.data(), iv.empty() ? nullptr : iv.data(), way,
                         nullptr) != 1)
    return nullptr;
  return context;
}

std::optional<ByteString> RunCipher(const EVP_CIPHER* cipher, bool encrypt, ByteView key,
                                    ByteView iv, ByteView data, ByteView aad, size_t tag_size) {
  const bool gcm = EVP_CIPHER_get_mode(cipher) == EVP_CIPH_GCM_MODE;
  if (!encrypt && gcm && data.size() < tag_size) return std::nullopt;
  const OwnCipherContext context = StartCipher(cipher, encrypt, key, iv);
  if (!context) return std::nullopt;
  if (!encrypt && gcm) {
    ByteString tag(data.end() - static_cast<ptrdiff_t>(tag_size), data.end());
    data = data.first(data.size() - tag_size);
    if (EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag_size),
                            tag.data()) != 1)
      return std::nullopt;
  }
  int size = 0;
  if (!aad.empty() && EVP_CipherUpdate(context.get(), nullptr, &size, aad.data(),
                                       static_cast<int>(aad.size())) != 1)
    return std::nullopt;
  ByteString out(data.size() + kBlock + tag_size);
  int done = 0, last = 0;
  if (EVP_CipherUpdate(context.get(), out.data(), &done, data.data(),
                       static_cast<int>(data.size())) != 1)
    return std::nullopt;
  if (EVP_CipherFinal_ex(context.get(), out.data() + done, &last) != 1) return std::nullopt;
  out.resize(static_cast<size_t>(done + last) + (encrypt && gcm ? tag_size : 0));
  if (encrypt && gcm &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag_size),
                          out.data() + done + last) != 1)
    return std::nullopt;
  return out;
}

// A cipher in pieces.
class Cipher : public Handle {
 public:
  static constexpr char kKind = 0;
  Cipher(OwnCipherContext context, bool tagged) : context(std::move(context)), tagged(tagged) {}
  OwnCipherContext context;
  bool tagged;
  bool finished = false;
};
constexpr size_t kCipherBytes = 1024;

// Ciphers that go piece by piece: neither those that wrap keys or disks' sectors nor those that
// must know how much there will be.
bool InPieces(const EVP_CIPHER* cipher) {
  switch (EVP_CIPHER_get_mode(cipher)) {
    case EVP_CIPH_STREAM_CIPHER:
    case EVP_CIPH_ECB_MODE:
    case EVP_CIPH_CBC_MODE:
    case EVP_CIPH_CFB_MODE:
    case EVP_CIPH_OFB_MODE:
    case EVP_CIPH_CTR_MODE:
    case EVP_CIPH_GCM_MODE:
      return true;
    default:
      return false;
  }
}
// One of those by its name; null for any other.
OwnCipher FetchInPieces(const std::string& name) {
  StartOpenSsl();
  OwnCipher cipher(EVP_CIPHER_fetch(nullptr, name.c_str(), nullptr));
  if (cipher && !InPieces(cipher.get())) cipher.reset();
  ERR_clear_error();
  return cipher;
}

// cipherInfo(name): [name, bytes of the key, of the iv, of a block, mode, whether it has a tag]
void CipherInfo(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  const OwnCipher cipher = FetchInPieces(Text(args, 0));
  if (!cipher) return;
  static constexpr const char* kModes[] = {"stream", "ecb", "cbc", "cfb", "ofb", "ctr", "gcm"};
  Local<Value> info[] = {Str(isolate, EVP_CIPHER_get0_name(cipher.get())),
                         v8::Integer::New(isolate, EVP_CIPHER_get_key_length(cipher.get())),
                         v8::Integer::New(isolate, EVP_CIPHER_get_iv_length(cipher.get())),
                         v8::Integer::New(isolate, EVP_CIPHER_get_block_size(cipher.get())),
                         Str(isolate, kModes[EVP_CIPHER_get_mode(cipher.get())]),
                         v8::Boolean::New(isolate, HasTag(cipher.get()))};
  args.GetReturnValue().Set(v8::Array::New(isolate, info, std::size(info)));
}

// cipherNames(): of all that go in pieces
void CipherNames(const Args& args) {
  StartOpenSsl();
  std::vector<std::string> names;
  EVP_CIPHER_do_all_provided(
      nullptr,
      [](EVP_CIPHER* cipher, void* data) {
        if (InPieces(cipher))
          static_cast<std::vector<std::string>*>(data)->emplace_back(EVP_CIPHER_get0_name(cipher));
      },
      &names);
  std::vector<Local<Value>> list;
  for (const std::string& name : names) list.push_back(Str(args.GetIsolate(), name));
  args.GetReturnValue().Set(v8::Array::New(args.GetIsolate(), list.data(), list.size()));
}

// cipherOpen(name, encrypt, key, iv)
void CipherOpen(const Args& args) {
  const auto key = Bytes(args[2]), iv = Bytes(args[3]);
  const OwnCipher cipher = FetchInPieces(Text(args, 0));
  if (!cipher || (!HasTag(cipher.get()) &&
                  static_cast<size_t>(EVP_CIPHER_get_iv_length(cipher.get())) != iv.size()))
    return;
  auto context = StartCipher(cipher.get(), args[1]->IsTrue(), key, iv);
  ERR_clear_error();
  if (context)
    args.GetReturnValue().Set(
        Wrap(args.GetIsolate(), std::make_unique<Cipher>(std::move(context), HasTag(cipher.get())),
             kCipherBytes));
}

// cipherUpdate(cipher, bytes)
void CipherUpdate(const Args& args) {
  auto* cipher = Unwrap<Cipher>(args.GetIsolate(), args[0]);
  const auto bytes = Bytes(args[1]);
  if (cipher == nullptr || cipher->finished) return;
  ByteString out(bytes.size() + EVP_MAX_BLOCK_LENGTH);
  int size = 0;
  if (EVP_CipherUpdate(cipher->context.get(), out.data(), &size, bytes.data(),
                       static_cast<int>(bytes.size())) != 1)
    return ERR_clear_error();
  Return(args, ByteView(out.data(), static_cast<size_t>(size)));
}

// cipherAuthenticate(cipher, bytes): what is not encrypted, and is sealed with the rest
void CipherAuthenticate(const Args& args) {
  auto* cipher = Unwrap<Cipher>(args.GetIsolate(), args[0]);
  const auto bytes = Bytes(args[1]);
  int size = 0;
  args.GetReturnValue().Set(cipher != nullptr && cipher->tagged && !cipher->finished &&
                            EVP_CipherUpdate(cipher->context.get(), nullptr, &size, bytes.data(),
                                             static_cast<int>(bytes.size())) == 1);
  ERR_clear_error();
}

// cipherFinal(cipher): the last bytes, or OpenSSL's words for what is wrong
void CipherFinal(const Args& args) {
  auto* cipher = Unwrap<Cipher>(args.GetIsolate(), args[0]);
  if (cipher == nullptr || cipher->finished) return;
  cipher->finished = true;
  ByteString out(EVP_MAX_BLOCK_LENGTH);
  int size = 0;
  ERR_clear_error();
  if (EVP_CipherFinal_ex(cipher->context.get(), out.data(), &size) == 1)
    return Return(args, ByteView(out.data(), static_cast<size_t>(size)));
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  args.GetReturnValue().Set(Str(args.GetIsolate(), reason == nullptr ? "" : reason));
  ERR_clear_error();
}

// cipherTag(cipher, bytes): to be checked; or cipherTag(cipher, size): of what was encrypted
void CipherTag(const Args& args) {
  auto* cipher = Unwrap<Cipher>(args.GetIsolate(), args[0]);
  if (cipher == nullptr || !cipher->tagged) return;
  if (args[1]->IsNumber()) {
    ByteString tag(static_cast<size_t>(std::clamp(Int(args, 1), 0, EVP_MAX_BLOCK_LENGTH)));
    if (EVP_CIPHER_CTX_ctrl(cipher->context.get(), EVP_CTRL_AEAD_GET_TAG,
                            static_cast<int>(tag.size()), tag.data()) == 1)
      Return(args, ByteView(tag));
  } else {
    const auto tag = Bytes(args[1]);
    args.GetReturnValue().Set(EVP_CIPHER_CTX_ctrl(cipher->context.get(), EVP_CTRL_AEAD_SET_TAG,
                                                  static_cast<int>(tag.size()), tag.data()) == 1);
  }
  ERR_clear_error();
}

// cipherPadding(cipher, on)
void CipherPadding(const Args& args) {
  if (auto* cipher = Unwrap<Cipher>(args.GetIsolate(), args[0]); cipher != nullptr)
    EVP_CIPHER_CTX_set_padding(cipher->context.get(), args[1]->IsTrue() ? 1 : 0);
}

// aes("CBC", "GCM", "CTR" or "WRAP", encrypt, key, iv, data, additional data, bytes of the tag)
void Aes(const Args& args) {
  StartOpenSsl();
  const auto key = Bytes(args[2]), data = Bytes(args[4]);
  const std::string name = fmt::format("AES-{}-{}", key.size() * 8, Text(args, 0));
  const OwnCipher cipher(EVP_CIPHER_fetch(nullptr, name.c_str(), nullptr));
  if (!cipher) return ERR_clear_error();
  Return(args, RunCipher(cipher.get(), args[1]->IsTrue(), key, Bytes(args[3]), data, Bytes(args[5]),
                         std::min<size_t>(Size(args, 6), kBlock)));
}

// aesCtr(key, counter block, bits of the counter, data): undefined where the counter would repeat.
// Only the counter's own bits count, and they wrap (Web Crypto 26.4).
void AesCtr(const Args& args) {
  StartOpenSsl();
  const auto key = Bytes(args[0]), data = Bytes(args[3]);
  const auto given = Bytes(args[1]);
  const int bits = Int(args, 2);
  if (given.size() != kBlock || bits < 1 || bits > 128) return;
  const std::string name = fmt::format("AES-{}-CTR", key.size() * 8);
  const OwnCipher cipher(EVP_CIPHER_fetch(nullptr, name.c_str(), nullptr));
  if (!cipher) return ERR_clear_error();
  using Wide = unsigned __int128;
  Wide block = 0;
  for (const uint8_t byte : given) block = block << 8 | byte;
  const Wide mask = bits == 128 ? ~Wide{0} : (Wide{1} << bits) - 1;
  const Wide blocks = (data.size() + kBlock - 1) / kBlock;
  if (bits < 64 && blocks > mask + 1) return;
  const Wide before_wrap = mask - (block & mask);  // + 1 blocks until the counter is 0
  const size_t first =
      blocks > before_wrap && before_wrap < (Wide{1} << 40)
          ? std::min<size_t>(data.size(), static_cast<size_t>(before_wrap + 1) * kBlock)
          : data.size();
  auto out = RunCipher(cipher.get(), true, key, given, data.first(first), {}, 0);
  if (out && first < data.size()) {
    block &= ~mask;
    ByteString wrapped(kBlock);
    for (size_t i = kBlock; i-- > 0; block >>= 8) wrapped[i] = static_cast<uint8_t>(block);
    const auto rest = RunCipher(cipher.get(), true, key, wrapped, data.subspan(first), {}, 0);
    if (rest)
      out->insert(out->end(), rest->begin(), rest->end());
    else
      out.reset();
  }
  Return(args, out);
}

}  // namespace

std::span<const Native> CryptoNatives() {
  static constexpr Native kNatives[] = {{"digest", InInts<Digest>},
                                        {"hashOpen", InInts<HashOpen>},
                                        {"hmacOpen", InInts<HmacOpen>},
                                        {"hashUpdate", InInts<HashUpdate>},
                                        {"hashCopy", InInts<HashCopy>},
                                        {"hashDigest", InInts<HashDigest>},
                                        {"hashNames", InInts<HashNames>},
                                        {"hmac", InInts<Hmac>},
                                        {"equal", InInts<Equal>},
                                        {"pbkdf2", InInts<Pbkdf2>},
                                        {"hkdf", InInts<Hkdf>},
                                        {"scrypt", InInts<Scrypt>},
                                        {"cipherInfo", InInts<CipherInfo>},
                                        {"cipherNames", InInts<CipherNames>},
                                        {"cipherOpen", InInts<CipherOpen>},
                                        {"cipherUpdate", InInts<CipherUpdate>},
                                        {"cipherAuthenticate", InInts<CipherAuthenticate>},
                                        {"cipherFinal", InInts<CipherFinal>},
                                        {"cipherTag", InInts<CipherTag>},
                                        {"cipherPadding", InInts<CipherPadding>},
                                        {"aes", InInts<Aes>},
                                        {"aesCtr", InInts<AesCtr>}};
  return kNatives;
}

}  // namespace postern::worker
