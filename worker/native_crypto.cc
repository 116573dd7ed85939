// Natives for cryptography, on the host executable's own OpenSSL: what crypto.subtle and
// node:crypto are made of. Where OpenSSL refuses an input, a native returns undefined: the
// JavaScript knows which error its standard wants.
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <cstring>
#include <memory>
#include <optional>

#include "worker/handle.h"
#include "worker/natives.h"

namespace postern::worker {
namespace {

using v8::Local;
using v8::Value;
using ByteView = std::span<const uint8_t>;
using ByteString = std::vector<uint8_t>;

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

std::string Text(const Args& args, int i) { return Utf8(args.GetIsolate(), args[i]); }
int Int(const Args& args, int i) {
  return args[i]->IsNumber() ? static_cast<int>(args[i].As<v8::Number>()->Value()) : 0;
}
void Return(const Args& args, ByteView bytes) {
  Local<v8::Uint8Array> array;
  if (NewBytes(args.GetIsolate(), bytes).ToLocal(&array)) args.GetReturnValue().Set(array);
}
void Return(const Args& args, const std::optional<ByteString>& bytes) {
  ERR_clear_error();
  if (bytes) Return(args, ByteView(*bytes));
}

// No configuration file is read: a guest has no files, and wants none.
void StartOpenSsl() {
  static const int started = OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  (void)started;
}

OwnDigest FetchDigest(const std::string& name) {
  StartOpenSsl();
  return OwnDigest(EVP_MD_fetch(nullptr, name.c_str(), nullptr));
}

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
    const auto size = static_cast<size_t>(std::max(Int(args, 1), 0));
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
  auto* hash = Unwrap<Hash>(args[0]);
  if (hash == nullptr) return ThrowType(args.GetIsolate(), "not a hash");
  const auto bytes = Bytes(args[1]);
  if (hash->mac)
    EVP_MAC_update(hash->mac.get(), bytes.data(), bytes.size());
  else
    EVP_DigestUpdate(hash->digest.get(), bytes.data(), bytes.size());
}

// hashCopy(hash): another that goes on from here; may be given another size
void HashCopy(const Args& args) {
  auto* hash = Unwrap<Hash>(args[0]);
  if (hash == nullptr || !hash->digest) return;
  auto copy = std::make_unique<Hash>();
  copy->digest.reset(EVP_MD_CTX_new());
  copy->extendable = hash->extendable;
  copy->size = hash->size;
  if (args[1]->IsNumber() && hash->extendable) copy->size = static_cast<size_t>(Int(args, 1));
  if (EVP_MD_CTX_copy_ex(copy->digest.get(), hash->digest.get()) != 1) return ERR_clear_error();
  args.GetReturnValue().Set(Wrap(args.GetIsolate(), std::move(copy), kHashBytes));
}

// hashDigest(hash): the bytes; nothing can be added after
void HashDigest(const Args& args) {
  auto* hash = Unwrap<Hash>(args[0]);
  if (hash == nullptr) return ThrowType(args.GetIsolate(), "not a hash");
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
  const auto password = Bytes(args[1]), salt = Bytes(args[2]);
  ByteString out(static_cast<size_t>(std::max(Int(args, 4), 0)));
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
  std::string hash = Text(args, 0);
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash.data(), 0),
      Octets(OSSL_KDF_PARAM_KEY, Bytes(args[1])), Octets(OSSL_KDF_PARAM_SALT, Bytes(args[2])),
      Octets(OSSL_KDF_PARAM_INFO, Bytes(args[3])), OSSL_PARAM_construct_end()};
  Return(args, Derive("HKDF", parameters, static_cast<size_t>(std::max(Int(args, 4), 0))));
}

// scrypt(password, salt, N, r, p, memory, bytes)
void Scrypt(const Args& args) {
  const auto number = [&](int i) {
    return static_cast<uint64_t>(args[i].As<v8::Number>()->Value());
  };
  uint64_t n = number(2), memory = number(5);
  auto r = static_cast<uint32_t>(number(3)), p = static_cast<uint32_t>(number(4));
  OSSL_PARAM parameters[] = {Octets(OSSL_KDF_PARAM_PASSWORD, Bytes(args[0])),
                             Octets(OSSL_KDF_PARAM_SALT, Bytes(args[1])),
                             OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
                             OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
                             OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
                             OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &memory),
                             OSSL_PARAM_construct_end()};
  Return(args, Derive("SCRYPT", parameters, static_cast<size_t>(std::max(Int(args, 6), 0))));
}

// ---- ciphers

constexpr size_t kBlock = 16;

std::optional<ByteString> RunCipher(const EVP_CIPHER* cipher, bool encrypt, ByteView key,
                                    ByteView iv, ByteView data, ByteView aad, size_t tag_size) {
  const bool gcm = EVP_CIPHER_get_mode(cipher) == EVP_CIPH_GCM_MODE;
  if (static_cast<size_t>(EVP_CIPHER_get_key_length(cipher)) != key.size()) return std::nullopt;
  if (!encrypt && gcm && data.size() < tag_size) return std::nullopt;
  const Own<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free> context(EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  const int way = encrypt ? 1 : 0;
  if (EVP_CipherInit_ex(context.get(), cipher, nullptr, nullptr, nullptr, way) != 1)
    return std::nullopt;
  if (gcm && EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_IVLEN,
                                 static_cast<int>(iv.size()), nullptr) != 1)
    return std::nullopt;
  if (EVP_CipherInit_ex(context.get(), nullptr, nullptr, key.data(),
                        iv.empty() ? nullptr : iv.data(), way) != 1)
    return std::nullopt;
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

// aes("CBC", "GCM", "CTR" or "WRAP", encrypt, key, iv, data, additional data, bytes of the tag)
void Aes(const Args& args) {
  StartOpenSsl();
  const auto key = Bytes(args[2]), data = Bytes(args[4]);
  constexpr size_t kMost = 1u << 30;
  if (data.size() > kMost) return;
  const std::string name = "AES-" + std::to_string(key.size() * 8) + "-" + Text(args, 0);
  const Own<EVP_CIPHER, EVP_CIPHER_free> cipher(EVP_CIPHER_fetch(nullptr, name.c_str(), nullptr));
  if (!cipher) return ERR_clear_error();
  Return(args, RunCipher(cipher.get(), args[1]->IsTrue(), key, Bytes(args[3]), data, Bytes(args[5]),
                         static_cast<size_t>(Int(args, 6))));
}

// aesCtr(key, counter block, bits of the counter, data): undefined where the counter would repeat.
// Only the counter's own bits count, and they wrap (Web Crypto 26.4).
void AesCtr(const Args& args) {
  StartOpenSsl();
  const auto key = Bytes(args[0]), data = Bytes(args[3]);
  const auto given = Bytes(args[1]);
  const int bits = Int(args, 2);
  if (given.size() != kBlock || bits < 1 || bits > 128 || data.size() > (1u << 30)) return;
  const std::string name = "AES-" + std::to_string(key.size() * 8) + "-CTR";
  const Own<EVP_CIPHER, EVP_CIPHER_free> cipher(EVP_CIPHER_fetch(nullptr, name.c_str(), nullptr));
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

// ---- asymmetric keys

class Key : public Handle {
 public:
  static constexpr char kKind = 0;
  explicit Key(OwnKey pkey) : pkey(std::move(pkey)) {}
  OwnKey pkey;
};

constexpr size_t kKeyBytes = 4096;

void ReturnKey(const Args& args, OwnKey key) {
  ERR_clear_error();
  if (key)
    args.GetReturnValue().Set(
        Wrap(args.GetIsolate(), std::make_unique<Key>(std::move(key)), kKeyBytes));
}

EVP_PKEY* KeyOf(const Args& args, int i) {
  auto* key = Unwrap<Key>(args[i]);
  return key == nullptr ? nullptr : key->pkey.get();
}

std::string CurveOf(EVP_PKEY* key) {
  char name[64] = "";
  size_t size = 0;
  EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof name, &size);
  return name;
}

// keyGenerate("RSA", bits, exponent), keyGenerate("EC", curve) or keyGenerate("ED25519" …)
void KeyGenerate(const Args& args) {
  StartOpenSsl();
  const std::string kind = Text(args, 0);
  const OwnKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, kind.c_str(), nullptr));
  if (!context || EVP_PKEY_keygen_init(context.get()) != 1) return ERR_clear_error();
  if (kind == "RSA") {
    const OwnNumber exponent(BN_new());
    BN_set_word(exponent.get(), static_cast<BN_ULONG>(args[2].As<v8::Number>()->Value()));
    if (EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), Int(args, 1)) != 1 ||
        EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context.get(), exponent.get()) != 1)
      return ERR_clear_error();
  } else if (kind == "EC") {
    if (EVP_PKEY_CTX_set_group_name(context.get(), Text(args, 1).c_str()) != 1)
      return ERR_clear_error();
  }
  EVP_PKEY* made = nullptr;
  EVP_PKEY_generate(context.get(), &made);
  ReturnKey(args, OwnKey(made));
}

// The key is whole: its point is on its curve, its private part fits.
bool Sound(EVP_PKEY* key) {
  if (!EVP_PKEY_is_a(key, "EC")) return true;
  const OwnKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  return context && EVP_PKEY_public_check_quick(context.get()) == 1;
}

// keyImport("spki" or "pkcs8", bytes)
void KeyImport(const Args& args) {
  StartOpenSsl();
  const auto bytes = Bytes(args[1]);
  const uint8_t* at = bytes.data();
  OwnKey key;
  if (Text(args, 0) == "spki") {
    key.reset(d2i_PUBKEY(nullptr, &at, static_cast<long>(bytes.size())));
  } else {
    const Own<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free> info(
        d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, static_cast<long>(bytes.size())));
    if (info) key.reset(EVP_PKCS82PKEY(info.get()));
  }
  if (key && (at != bytes.data() + bytes.size() || !Sound(key.get()))) key.reset();
  ReturnKey(args, std::move(key));
}

// keyRaw("ED25519" …, private, bytes)
void KeyRaw(const Args& args) {
  StartOpenSsl();
  const auto bytes = Bytes(args[2]);
  const std::string kind = Text(args, 0);
  ReturnKey(args, OwnKey(args[1]->IsTrue()
                             ? EVP_PKEY_new_raw_private_key_ex(nullptr, kind.c_str(), nullptr,
                                                               bytes.data(), bytes.size())
                             : EVP_PKEY_new_raw_public_key_ex(nullptr, kind.c_str(), nullptr,
                                                              bytes.data(), bytes.size())));
}

class ParameterBuilder {
 public:
  ParameterBuilder() : builder_(OSSL_PARAM_BLD_new()) {}
  void Number(const char* name, ByteView bytes) {
    numbers_.emplace_back(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
    OSSL_PARAM_BLD_push_BN(builder_.get(), name, numbers_.back().get());
  }
  void Name(const char* name, const std::string& text) {
    OSSL_PARAM_BLD_push_utf8_string(builder_.get(), name, text.c_str(), 0);
  }
  void Octets(const char* name, ByteView bytes) {
    OSSL_PARAM_BLD_push_octet_string(builder_.get(), name, bytes.data(), bytes.size());
  }
  OwnKey Make(const char* kind, bool is_private) {
    const Own<OSSL_PARAM, OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(builder_.get()));
    const OwnKeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
    EVP_PKEY* made = nullptr;
    if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1) return nullptr;
    EVP_PKEY_fromdata(context.get(), &made, is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
                      parameters.get());
    return OwnKey(made);
  }

 private:
  Own<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder_;
  std::vector<OwnNumber> numbers_;
};

constexpr const char* kRsaParts[] = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,           OSSL_PKEY_PARAM_RSA_D,
    OSSL_PKEY_PARAM_RSA_FACTOR1,   OSSL_PKEY_PARAM_RSA_FACTOR2,     OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};

// keyRsa([n, e] or [n, e, d, p, q, dp, dq, qi])
void KeyRsa(const Args& args) {
  StartOpenSsl();
  const auto context = args.GetIsolate()->GetCurrentContext();
  const auto parts = args[0].As<v8::Array>();
  ParameterBuilder builder;
  for (uint32_t i = 0; i < parts->Length() && i < std::size(kRsaParts); ++i) {
    Local<Value> part;
    if (!parts->Get(context, i).ToLocal(&part)) return;
    builder.Number(kRsaParts[i], Bytes(part));
  }
  ReturnKey(args, builder.Make("RSA", parts->Length() > 2));
}

// keyEc(curve, point, private or undefined): the point may be compressed; without one it is that of
// the private part
void KeyEc(const Args& args) {
  StartOpenSsl();
  const std::string curve = Text(args, 0);
  ParameterBuilder builder;
  builder.Name(OSSL_PKEY_PARAM_GROUP_NAME, curve);
  builder.Octets(OSSL_PKEY_PARAM_PUB_KEY, Bytes(args[1]));
  const bool is_private = args[2]->IsUint8Array();
  if (is_private) builder.Number(OSSL_PKEY_PARAM_PRIV_KEY, Bytes(args[2]));
  OwnKey key = builder.Make("EC", is_private);
  if (key) {
    const OwnKeyContext check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
    if (!check || (is_private ? EVP_PKEY_pairwise_check(check.get()) != 1
                              : EVP_PKEY_public_check(check.get()) != 1))
      key.reset();
  }
  ReturnKey(args, std::move(key));
}

// keyInfo(key): [kind, bits, curve, whether it has a private part]
void KeyInfo(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  EVP_PKEY* key = KeyOf(args, 0);
  if (key == nullptr) return;
  const char* kind = EVP_PKEY_get0_type_name(key);
  Local<Value> info[] = {Str(isolate, kind == nullptr ? "" : kind),
                         v8::Integer::New(isolate, EVP_PKEY_get_bits(key)),
                         Str(isolate, EVP_PKEY_is_a(key, "EC") ? CurveOf(key) : "")};
  args.GetReturnValue().Set(v8::Array::New(isolate, info, std::size(info)));
}

std::optional<ByteString> NumberPart(EVP_PKEY* key, const char* name, size_t size) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) return std::nullopt;
  const OwnNumber owned(number);
  ByteString out(std::max(size, static_cast<size_t>(BN_num_bytes(number))));
  BN_bn2binpad(number, out.data(), static_cast<int>(out.size()));
  return out;
}

// keyParts(key, with the private ones): of RSA [n, e, d, p, q, dp, dq, qi], of EC [x, y, d], of the
// others [x, d]
void KeyParts(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  EVP_PKEY* key = KeyOf(args, 0);
  if (key == nullptr) return;
  const bool with_private = args[1]->IsTrue();
  std::vector<Local<Value>> parts;
  const auto add = [&](const std::optional<ByteString>& part) {
    Local<v8::Uint8Array> array;
    if (part && NewBytes(isolate, *part).ToLocal(&array)) parts.push_back(array);
  };
  if (EVP_PKEY_is_a(key, "RSA")) {
    for (size_t i = 0; i < (with_private ? std::size(kRsaParts) : 2); ++i)
      add(NumberPart(key, kRsaParts[i], 0));
  } else if (EVP_PKEY_is_a(key, "EC")) {
    const auto size = static_cast<size_t>(EVP_PKEY_get_bits(key) + 7) / 8;
    add(NumberPart(key, OSSL_PKEY_PARAM_EC_PUB_X, size));
    add(NumberPart(key, OSSL_PKEY_PARAM_EC_PUB_Y, size));
    if (with_private) add(NumberPart(key, OSSL_PKEY_PARAM_PRIV_KEY, size));
  } else {
    for (const bool is_private : {false, true}) {
      if (is_private && !with_private) break;
      ByteString bytes(128);
      size_t size = bytes.size();
      if ((is_private ? EVP_PKEY_get_raw_private_key(key, bytes.data(), &size)
                      : EVP_PKEY_get_raw_public_key(key, bytes.data(), &size)) != 1)
        break;
      bytes.resize(size);
      add(bytes);
    }
  }
  ERR_clear_error();
  args.GetReturnValue().Set(v8::Array::New(isolate, parts.data(), parts.size()));
}

// keyExport(key, "spki" or "pkcs8")
void KeyExport(const Args& args) {
  EVP_PKEY* key = KeyOf(args, 0);
  if (key == nullptr) return;
  uint8_t* der = nullptr;
  int size = 0;
  if (Text(args, 1) == "spki") {
    size = i2d_PUBKEY(key, &der);
  } else {
    const Own<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free> info(EVP_PKEY2PKCS8(key));
    if (info) size = i2d_PKCS8_PRIV_KEY_INFO(info.get(), &der);
  }
  ERR_clear_error();
  if (size > 0) Return(args, ByteView(der, static_cast<size_t>(size)));
  OPENSSL_free(der);
}

// ECDSA's signature as two numbers of the curve's size, one after the other (IEEE P1363), from DER.
std::optional<ByteString> FromDer(ByteView der, size_t size) {
  const uint8_t* at = der.data();
  const Own<ECDSA_SIG, ECDSA_SIG_free> signature(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!signature) return std::nullopt;
  ByteString out(2 * size);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out.data(), static_cast<int>(size)) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out.data() + size, static_cast<int>(size)) <
          0)
    return std::nullopt;
  return out;
}
std::optional<ByteString> ToDer(ByteView plain, size_t size) {
  if (plain.size() != 2 * size) return std::nullopt;
  const Own<ECDSA_SIG, ECDSA_SIG_free> signature(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(plain.data(), static_cast<int>(size), nullptr);
  BIGNUM* s = BN_bin2bn(plain.data() + size, static_cast<int>(size), nullptr);
  ECDSA_SIG_set0(signature.get(), r, s);
  uint8_t* der = nullptr;
  const int length = i2d_ECDSA_SIG(signature.get(), &der);
  if (length <= 0) return std::nullopt;
  ByteString out(der, der + length);
  OPENSSL_free(der);
  return out;
}

// Of a signature: args are key, hash or undefined, data, padding of RSA ("PKCS1" or "PSS") and its
// salt's bytes. `start` is EVP_DigestSignInit_ex or its verifying twin.
template <class Start>
bool StartSignature(const Args& args, EVP_MD_CTX* context, EVP_PKEY* key, Start start) {
  StartOpenSsl();
  EVP_PKEY_CTX* parameters = nullptr;
  const std::string hash = args[1]->IsString() ? Text(args, 1) : "";
  if (start(context, &parameters, hash.empty() ? nullptr : hash.c_str(), nullptr, nullptr, key,
            nullptr) != 1)
    return false;
  if (!EVP_PKEY_is_a(key, "RSA")) return true;
  if (Text(args, 3) != "PSS")
    return EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PADDING) == 1;
  return EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, Int(args, 4)) == 1;
}

size_t CurveSize(EVP_PKEY* key) { return static_cast<size_t>(EVP_PKEY_get_bits(key) + 7) / 8; }

// sign(key, hash, data, padding, salt bytes, as DER)
void Sign(const Args& args) {
  EVP_PKEY* key = KeyOf(args, 0);
  const OwnDigestContext context(EVP_MD_CTX_new());
  if (key == nullptr || !StartSignature(args, context.get(), key, EVP_DigestSignInit_ex))
    return ERR_clear_error();
  const auto data = Bytes(args[2]);
  size_t size = 0;
  if (EVP_DigestSign(context.get(), nullptr, &size, data.data(), data.size()) != 1)
    return ERR_clear_error();
  ByteString signature(size);
  if (EVP_DigestSign(context.get(), signature.data(), &size, data.data(), data.size()) != 1)
    return ERR_clear_error();
  signature.resize(size);
  if (EVP_PKEY_is_a(key, "EC") && !args[5]->IsTrue())
    return Return(args, FromDer(signature, CurveSize(key)));
  Return(args, std::optional(std::move(signature)));
}

// verify(key, hash, data, padding, salt bytes, as DER, signature): a boolean
void Verify(const Args& args) {
  EVP_PKEY* key = KeyOf(args, 0);
  const OwnDigestContext context(EVP_MD_CTX_new());
  args.GetReturnValue().Set(false);
  if (key == nullptr || !StartSignature(args, context.get(), key, EVP_DigestVerifyInit_ex))
    return ERR_clear_error();
  const auto data = Bytes(args[2]);
  auto signature = Bytes(args[6]);
  std::optional<ByteString> der;
  ByteView given = signature;
  if (EVP_PKEY_is_a(key, "EC") && !args[5]->IsTrue()) {
    der = ToDer(signature, CurveSize(key));
    if (!der) return;
    given = *der;
  }
  args.GetReturnValue().Set(
      EVP_DigestVerify(context.get(), given.data(), given.size(), data.data(), data.size()) == 1);
  ERR_clear_error();
}

// rsaOaep(key, encrypt, hash, label, data)
void RsaOaep(const Args& args) {
  EVP_PKEY* key = KeyOf(args, 0);
  if (key == nullptr) return;
  const bool encrypt = args[1]->IsTrue();
  const OwnKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  const OwnDigest md = FetchDigest(Text(args, 2));
  if (!context || !md ||
      (encrypt ? EVP_PKEY_encrypt_init(context.get()) : EVP_PKEY_decrypt_init(context.get())) !=
          1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), md.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), md.get()) != 1)
    return ERR_clear_error();
  const auto label = Bytes(args[3]), data = Bytes(args[4]);
  if (!label.empty()) {
    auto* copy = static_cast<uint8_t*>(OPENSSL_memdup(label.data(), label.size()));
    if (EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), copy, static_cast<int>(label.size())) !=
        1) {
      OPENSSL_free(copy);
      return ERR_clear_error();
    }
  }
  const auto run = encrypt ? EVP_PKEY_encrypt : EVP_PKEY_decrypt;
  size_t size = 0;
  if (run(context.get(), nullptr, &size, data.data(), data.size()) != 1) return ERR_clear_error();
  ByteString out(size);
  if (run(context.get(), out.data(), &size, data.data(), data.size()) != 1)
    return ERR_clear_error();
  out.resize(size);
  Return(args, std::optional(std::move(out)));
}

// agree(private key, public key): the shared secret of ECDH and X25519
void Agree(const Args& args) {
  EVP_PKEY *own = KeyOf(args, 0), *other = KeyOf(args, 1);
  if (own == nullptr || other == nullptr) return;
  const OwnKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, own, nullptr));
  size_t size = 0;
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), other) != 1 ||
      EVP_PKEY_derive(context.get(), nullptr, &size) != 1)
    return ERR_clear_error();
  ByteString out(size);
  if (EVP_PKEY_derive(context.get(), out.data(), &size) != 1) return ERR_clear_error();
  out.resize(size);
  Return(args, std::optional(std::move(out)));
}

}  // namespace

std::span<const Native> CryptoNatives() {
  static constexpr Native kNatives[] = {{"digest", Digest},
                                        {"hashOpen", HashOpen},
                                        {"hmacOpen", HmacOpen},
                                        {"hashUpdate", HashUpdate},
                                        {"hashCopy", HashCopy},
                                        {"hashDigest", HashDigest},
                                        {"hashNames", HashNames},
                                        {"hmac", Hmac},
                                        {"equal", Equal},
                                        {"pbkdf2", Pbkdf2},
                                        {"hkdf", Hkdf},
                                        {"scrypt", Scrypt},
                                        {"aes", Aes},
                                        {"aesCtr", AesCtr},
                                        {"keyGenerate", KeyGenerate},
                                        {"keyImport", KeyImport},
                                        {"keyRaw", KeyRaw},
                                        {"keyRsa", KeyRsa},
                                        {"keyEc", KeyEc},
                                        {"keyInfo", KeyInfo},
                                        {"keyParts", KeyParts},
                                        {"keyExport", KeyExport},
                                        {"sign", Sign},
                                        {"verify", Verify},
                                        {"rsaOaep", RsaOaep},
                                        {"agree", Agree}};
  return kNatives;
}

}  // namespace postern::worker
