// Natives for asymmetric keys: signatures, RSA's encryption and agreement, for crypto.subtle and
// node:crypto.
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "worker/native/key_handle.h"
#include "worker/native/natives.h"

namespace postern::worker {
namespace {

using v8::Local;
using v8::Value;

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
    BN_set_word(exponent.get(), Nearest<BN_ULONG>(Number(args, 2)));
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
  const auto parts = Elements(args, 0);
  if (!parts) return;
  ParameterBuilder builder;
  for (size_t i = 0; i < parts->size() && i < std::size(kRsaParts); ++i) {
    const auto bytes = Bytes((*parts)[i]);
    if (bytes.size() > kMostBytes) return;
    builder.Number(kRsaParts[i], bytes);
  }
  ReturnKey(args, builder.Make("RSA", parts->size() > 2));
}

// The point of a private part, uncompressed; empty where there is none.
ByteString PointOf(const std::string& curve, ByteView secret) {
  int nid = EC_curve_nist2nid(curve.c_str());
  if (nid == NID_undef) nid = OBJ_sn2nid(curve.c_str());
  const Own<EC_GROUP, EC_GROUP_free> group(EC_GROUP_new_by_curve_name(nid));
  const OwnNumber number(BN_bin2bn(secret.data(), static_cast<int>(secret.size()), nullptr));
  if (!group || !number) return {};
  const Own<EC_POINT, EC_POINT_free> point(EC_POINT_new(group.get()));
  if (!point ||
      EC_POINT_mul(group.get(), point.get(), number.get(), nullptr, nullptr, nullptr) != 1)
    return {};
  ByteString out(1 + 2 * (static_cast<size_t>(EC_GROUP_get_degree(group.get())) + 7) / 8);
  out.resize(EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, out.data(),
                                out.size(), nullptr));
  return out;
}

// keyEc(curve, point, private or undefined): the point may be compressed; without one it is that of
// the private part
void KeyEc(const Args& args) {
  StartOpenSsl();
  const std::string curve = Text(args, 0);
  ParameterBuilder builder;
  builder.Name(OSSL_PKEY_PARAM_GROUP_NAME, curve);
  const bool is_private = args[2]->IsUint8Array();
  ByteView point = Bytes(args[1]);
  const ByteString made =
      point.empty() && is_private ? PointOf(curve, Bytes(args[2])) : ByteString();
  if (point.empty()) point = made;
  builder.Octets(OSSL_PKEY_PARAM_PUB_KEY, point);
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

// keyInfo(key): [kind, bits, curve]
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

// curveNames(): those that OpenSSL knows
void CurveNames(const Args& args) {
  v8::Isolate* isolate = args.GetIsolate();
  std::vector<EC_builtin_curve> curves(EC_get_builtin_curves(nullptr, 0));
  EC_get_builtin_curves(curves.data(), curves.size());
  std::vector<Local<Value>> names;
  for (const EC_builtin_curve& curve : curves) names.push_back(Str(isolate, OBJ_nid2sn(curve.nid)));
  args.GetReturnValue().Set(v8::Array::New(isolate, names.data(), names.size()));
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

constexpr char kPrivate[] = "private";

// Nobody is asked for a passphrase: that one was needed is noted.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* needed) {
  *static_cast<bool*>(needed) = true;
  return -1;
}

OwnKey KeyOfCertificate(ByteView pem) {
  bool needed = false;
  const Own<BIO, BIO_free> input(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Own<X509, X509_free> certificate(
      PEM_read_bio_X509(input.get(), nullptr, NoPassphrase, &needed));
  return certificate ? OwnKey(X509_get_pubkey(certificate.get())) : nullptr;
}

// keyRead(bytes, "PEM", "DER" or "CERTIFICATE", "private" or "public", passphrase or undefined):
// false where a passphrase is needed and not given
void KeyRead(const Args& args) {
  StartOpenSsl();
  const auto bytes = Bytes(args[0]);
  const std::string format = Text(args, 1);
  bool needed = false;
  OwnKey key;
  if (format == "CERTIFICATE") {
    key = KeyOfCertificate(bytes);
  } else {
    EVP_PKEY* made = nullptr;
    const int half = Text(args, 2) == kPrivate ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    const Own<OSSL_DECODER_CTX, OSSL_DECODER_CTX_free> context(OSSL_DECODER_CTX_new_for_pkey(
        &made, format.c_str(), nullptr, nullptr, half, nullptr, nullptr));
    if (!context) return ERR_clear_error();
    if (args[3]->IsUint8Array()) {
      const auto passphrase = Bytes(args[3]);
      OSSL_DECODER_CTX_set_passphrase(context.get(), passphrase.data(), passphrase.size());
    } else {
      OSSL_DECODER_CTX_set_pem_password_cb(context.get(), NoPassphrase, &needed);
    }
    const uint8_t* at = bytes.data();
    size_t left = bytes.size();
    const bool read = OSSL_DECODER_from_data(context.get(), &at, &left) == 1;
    key.reset(made);
    if (!read) key.reset();
  }
  if (key && !Sound(key.get())) key.reset();
  if (!key && needed) args.GetReturnValue().Set(false);
  ReturnKey(args, std::move(key));
}

// keyWrite(key, "PEM" or "DER", OpenSSL's name of the structure, "private" or "public", cipher and
// passphrase or undefined)
void KeyWrite(const Args& args) {
  EVP_PKEY* key = KeyOf(args, 0);
  if (key == nullptr) return;
  const int half = Text(args, 3) == kPrivate ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
  const std::string format = Text(args, 1), structure = Text(args, 2);  // which the context keeps
  const Own<OSSL_ENCODER_CTX, OSSL_ENCODER_CTX_free> context(
      OSSL_ENCODER_CTX_new_for_pkey(key, half, format.c_str(), structure.c_str(), nullptr));
  if (!context || OSSL_ENCODER_CTX_get_num_encoders(context.get()) == 0) return ERR_clear_error();
  if (args[4]->IsString()) {
    const auto passphrase = Bytes(args[5]);
    if (OSSL_ENCODER_CTX_set_cipher(context.get(), Text(args, 4).c_str(), nullptr) != 1 ||
        OSSL_ENCODER_CTX_set_passphrase(context.get(), passphrase.data(), passphrase.size()) != 1)
      return ERR_clear_error();
  }
  uint8_t* data = nullptr;
  size_t size = 0;
  if (OSSL_ENCODER_to_data(context.get(), &data, &size) == 1) Return(args, ByteView(data, size));
  OPENSSL_clear_free(data, size);
  ERR_clear_error();
}

// keyEqual(key, key): whether their public parts are the same
void KeyEqual(const Args& args) {
  EVP_PKEY *one = KeyOf(args, 0), *other = KeyOf(args, 1);
  args.GetReturnValue().Set(one != nullptr && other != nullptr && EVP_PKEY_eq(one, other) == 1);
  ERR_clear_error();
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

// How RSA is used on data: encryption for the key's owner, and what the owner does for all.
struct RsaUse {
  const char* name;
  int (*start)(EVP_PKEY_CTX*);
  int (*run)(EVP_PKEY_CTX*, unsigned char*, size_t*, const unsigned char*, size_t);
};
constexpr RsaUse kRsaUses[] = {{"encrypt", EVP_PKEY_encrypt_init, EVP_PKEY_encrypt},
                               {"decrypt", EVP_PKEY_decrypt_init, EVP_PKEY_decrypt},
                               {"sign", EVP_PKEY_sign_init, EVP_PKEY_sign},
                               {"recover", EVP_PKEY_verify_recover_init, EVP_PKEY_verify_recover}};
RsaUse RsaUseOf(const std::string& name) {
  for (const RsaUse& use : kRsaUses) {
    if (name == use.name) return use;
  }
  return kRsaUses[0];
}

std::optional<ByteString> RunRsa(EVP_PKEY_CTX* context, const RsaUse& use, ByteView data) {
  size_t size = 0;
  if (use.run(context, nullptr, &size, data.data(), data.size()) != 1) return std::nullopt;
  ByteString out(size);
  if (use.run(context, out.data(), &size, data.data(), data.size()) != 1) return std::nullopt;
  out.resize(size);
  return out;
}

// rsaOaep(key, "encrypt" or "decrypt", hash, label, data)
void RsaOaep(const Args& args) {
  EVP_PKEY* key = KeyOf(args, 0);
  if (key == nullptr) return;
  const RsaUse use = RsaUseOf(Text(args, 1));
  const OwnKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  const OwnDigest md = FetchDigest(Text(args, 2));
  if (!context || !md || use.start(context.get()) != 1 ||
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
  Return(args, RunRsa(context.get(), use, data));
}

// rsa(key, "encrypt", "decrypt", "sign" or "recover", with PKCS #1's padding or none, data)
void Rsa(const Args& args) {
  EVP_PKEY* key = KeyOf(args, 0);
  if (key == nullptr) return;
  const RsaUse use = RsaUseOf(Text(args, 1));
  const OwnKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  const int padding = args[2]->IsTrue() ? RSA_PKCS1_PADDING : RSA_NO_PADDING;
  if (!context || use.start(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), padding) != 1)
    return ERR_clear_error();
  Return(args, RunRsa(context.get(), use, Bytes(args[3])));
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

std::span<const Native> KeyNatives() {
  static constexpr Native kNatives[] = {{"keyGenerate", InInts<KeyGenerate>},
                                        {"keyImport", InInts<KeyImport>},
                                        {"keyRaw", InInts<KeyRaw>},
                                        {"keyRsa", InInts<KeyRsa>},
                                        {"keyEc", InInts<KeyEc>},
                                        {"keyInfo", InInts<KeyInfo>},
                                        {"keyParts", InInts<KeyParts>},
                                        {"curveNames", InInts<CurveNames>},
                                        {"keyExport", InInts<KeyExport>},
                                        {"keyRead", InInts<KeyRead>},
                                        {"keyWrite", InInts<KeyWrite>},
                                        {"keyEqual", InInts<KeyEqual>},
                                        {"sign", InInts<Sign>},
                                        {"verify", InInts<Verify>},
                                        {"rsaOaep", InInts<RsaOaep>},
                                        {"rsa", InInts<Rsa>},
                                        {"agree", InInts<Agree>}};
  return kNatives;
}

}  // namespace postern::worker
