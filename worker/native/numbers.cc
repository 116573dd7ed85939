// Natives for large numbers: primes, and Diffie-Hellman over them. Numbers are bytes, the highest
// first.
// BN_is_prime_ex and DH_check, for what Node's callers say and are told.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/dh.h>

#include <algorithm>
#include <array>

#include "worker/native/natives.h"
#include "worker/native/openssl.h"

namespace postern::worker {
namespace {

OwnNumber NumberOf(const Args& args, int i) {
  const auto bytes = Bytes(args[i]);
  return OwnNumber(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
}
OwnNumber NumberOrNone(const Args& args, int i) {
  return args[i]->IsUint8Array() ? NumberOf(args, i) : nullptr;
}

void ReturnNumber(const Args& args, const BIGNUM* number, int size) {
  ByteString out(static_cast<size_t>(size));
  if (BN_bn2binpad(number, out.data(), size) == size) Return(args, ByteView(out));
  ERR_clear_error();
}

using OwnNumberContext = Own<BN_CTX, BN_CTX_free>;

// primeGenerate(bits, safe, add or undefined, remainder or undefined)
void PrimeGenerate(const Args& args) {
  StartOpenSsl();
  const int bits = std::min<int>(Int(args, 0), static_cast<int>(kMostBytes));
  const OwnNumber add = NumberOrNone(args, 2), remainder = NumberOrNone(args, 3);
  // OpenSSL would look for what cannot be for ever.
  if (add &&
      (BN_num_bits(add.get()) > bits || (remainder && BN_cmp(remainder.get(), add.get()) >= 0)))
    return;
  const OwnNumber prime(BN_new());
  const OwnNumberContext context(BN_CTX_new());
  if (!prime || !context || bits < 0 ||
      BN_generate_prime_ex2(prime.get(), bits, args[1]->IsTrue() ? 1 : 0, add.get(),
                            remainder.get(), nullptr, context.get()) != 1)
    return ERR_clear_error();
  ReturnNumber(args, prime.get(), (bits + 7) / 8);
}

// primeCheck(candidate, rounds, 0 for what its size needs): a boolean
void PrimeCheck(const Args& args) {
  const OwnNumber candidate = NumberOf(args, 0);
  const OwnNumberContext context(BN_CTX_new());
  if (!candidate || !context) return;
  const int prime = BN_is_prime_ex(candidate.get(), Int(args, 1), context.get(), nullptr);
  args.GetReturnValue().Set(prime == 1);
  ERR_clear_error();
}

// powerModulo(base, secret exponent, modulus): as many bytes as the modulus has
void PowerModulo(const Args& args) {
  const OwnNumber base = NumberOf(args, 0), exponent = NumberOf(args, 1),
                  modulus = NumberOf(args, 2);
  const OwnNumber result(BN_new());
  const OwnNumberContext context(BN_CTX_new());
  if (!result || !context || !base || !exponent || !modulus || !BN_is_odd(modulus.get()) ||
      BN_mod_exp_mont_consttime(result.get(), base.get(), exponent.get(), modulus.get(),
                                context.get(), nullptr) != 1)
    return ERR_clear_error();
  ReturnNumber(args, result.get(), BN_num_bytes(modulus.get()));
}

struct Group {
  const char* name;
  BIGNUM* (*prime)(BIGNUM*);
};
constexpr std::array kGroups = {
    Group{"modp1", BN_get_rfc2409_prime_768},   Group{"modp2", BN_get_rfc2409_prime_1024},
    Group{"modp5", BN_get_rfc3526_prime_1536},  Group{"modp14", BN_get_rfc3526_prime_2048},
    Group{"modp15", BN_get_rfc3526_prime_3072}, Group{"modp16", BN_get_rfc3526_prime_4096},
    Group{"modp17", BN_get_rfc3526_prime_6144}, Group{"modp18", BN_get_rfc3526_prime_8192}};

// groupPrime(name of a group, as in RFC 3526): undefined where there is none
void GroupPrime(const Args& args) {
  const std::string name = Text(args, 0);
  for (const Group& group : kGroups) {
    if (name != group.name) continue;
    const OwnNumber prime(group.prime(nullptr));
    return ReturnNumber(args, prime.get(), BN_num_bytes(prime.get()));
  }
}

// groupCheck(prime, generator): OpenSSL's DH_check flags, as DH_CHECK_P_NOT_PRIME
void GroupCheck(const Args& args) {
  const Own<DH, DH_free> group(DH_new());
  OwnNumber prime = NumberOf(args, 0), generator = NumberOf(args, 1);
  int flags = 0;
  if (group && prime && generator &&
      DH_set0_pqg(group.get(), prime.get(), nullptr, generator.get()) == 1) {
    (void)prime.release();
    (void)generator.release();
    if (DH_check(group.get(), &flags) != 1) flags |= DH_NOT_SUITABLE_GENERATOR;
  }
  ERR_clear_error();
  args.GetReturnValue().Set(flags);
}

}  // namespace

std::span<const Native> NumberNatives() {
  static constexpr Native kNatives[] = {
      {"primeGenerate", InInts<PrimeGenerate>}, {"primeCheck", InInts<PrimeCheck>},
      {"powerModulo", InInts<PowerModulo>},     {"groupPrime", InInts<GroupPrime>},
      {"groupCheck", InInts<GroupCheck>},
  };
  return kNatives;
}

}  // namespace postern::worker
