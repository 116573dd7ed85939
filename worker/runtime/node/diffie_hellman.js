// What node:crypto has for primes, and for Diffie-Hellman over them. Numbers are bytes, the highest first.
import { codedError } from '../core/coded_error.js';
import { load } from './loader.js';

/** Bits of a prime: what takes longer than a guest has. */
const kMostBits = 16384;

/** @param {Uint8Array} bytes */
const trimmed = (bytes) =>
  bytes.subarray(
    Math.max(
      0,
      bytes.findIndex((byte) => byte !== 0),
    ),
  );

/** @param {{Buffer: any, bytesOf: Function, output: Function, later: Function}} shared of crypto.js */
export function groups({ Buffer, bytesOf, output, later }) {
  const { validateBoolean, validateInt32, validateObject, validateString, validateUint32 } =
    load('internal/validators');
  const { codes } = load('internal/errors');

  // ---- primes

  /** A number as bytes. @param {any} given @param {string} name */
  function numberOf(given, name) {
    if (typeof given !== 'bigint') {
      if (ArrayBuffer.isView(given) || given instanceof ArrayBuffer) return new Uint8Array(bytesOf(given));
      throw new codes.ERR_INVALID_ARG_TYPE(name, ['ArrayBuffer', 'TypedArray', 'Buffer', 'DataView', 'bigint'], given);
    }
    if (given < 0n) throw new codes.ERR_OUT_OF_RANGE(name, '>= 0', given);
    const hex = given.toString(16);
    return new Uint8Array(Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex'));
  }
  /** @param {ArrayBufferView} bytes */
  const bigOf = (bytes) => BigInt(`0x${Buffer.from(bytes).toString('hex') || 0}`);
  function generatePrimeSync(size, options = {}) {
    validateInt32(size, 'size', 1, kMostBits);
    validateObject(options, 'options');
    const { safe = false, bigint = false, add, rem } = options;
    validateBoolean(safe, 'options.safe');
    validateBoolean(bigint, 'options.bigint');
    const step = add === undefined ? undefined : numberOf(add, 'options.add');
    const rest = rem === undefined ? undefined : numberOf(rem, 'options.rem');
    if (step !== undefined && bigOf(step) >> BigInt(size) > 0n)
      throw codedError('ERR_OUT_OF_RANGE', 'invalid options.add', RangeError);
    const prime = native.primeGenerate(size, safe, step, rest);
    if (prime === undefined) throw codedError('ERR_OUT_OF_RANGE', 'there is no such prime', RangeError);
    return bigint ? bigOf(prime) : prime.buffer;
  }
  function checkPrimeSync(candidate, options = {}) {
    const bytes = numberOf(candidate, 'candidate');
    validateObject(options, 'options');
    const { checks = 0 } = options;
    validateInt32(checks, 'options.checks', 0);
    if (trimmed(bytes).length * 8 > kMostBits)
      throw codedError('ERR_OUT_OF_RANGE', `a candidate has at most ${kMostBits} bits here`, RangeError);
    return native.primeCheck(bytes, checks);
  }
  /** (value, options, callback), where options may be left out */
  const asynchronous = (work) => (value, options, callback) =>
    typeof options === 'function' ? later(options, () => work(value)) : later(callback, () => work(value, options));

  // ---- agreement

  /** @type {(exchange: any, key: Uint8Array, isPrivate: boolean) => void} */
  let useKey;
  /** What both classes have. */
  class Exchange {
    #prime;
    #generator;
    #private;
    #public;
    /** @param {Uint8Array} prime @param {Uint8Array} generator */
    constructor(prime, generator) {
      this.#prime = trimmed(prime);
      this.#generator = trimmed(generator);
    }
    get verifyError() {
      return native.groupCheck(this.#prime, this.#generator);
    }
    generateKeys(encoding) {
      if (this.#private === undefined) {
        // One bit less than the prime, so that it is below it; 0 and 1 do not come.
        this.#private = new Uint8Array(this.#prime.length);
        native.random(this.#private);
        this.#private[0] &= (1 << (31 - Math.clz32(this.#prime[0]))) - 1;
      }
      this.#public = native.powerModulo(this.#generator, this.#private, this.#prime);
      if (this.#public === undefined) throw codedError('ERR_CRYPTO_OPERATION_FAILED', 'Key generation failed');
      return this.getPublicKey(encoding);
    }
    computeSecret(other, inputEncoding, outputEncoding) {
      if (this.#private === undefined) throw codedError('ERR_CRYPTO_INVALID_STATE', 'There is no private key yet');
      const key = bigOf(bytesOf(other, inputEncoding, 'otherPublicKey'));
      const prime = bigOf(this.#prime);
      if (key <= 1n) throw codedError('ERR_CRYPTO_INVALID_KEYLEN', 'Supplied key is too small', RangeError);
      if (key >= prime - 1n) throw codedError('ERR_CRYPTO_INVALID_KEYLEN', 'Supplied key is too large', RangeError);
      const secret = native.powerModulo(numberOf(key, 'otherPublicKey'), this.#private, this.#prime);
      if (secret === undefined) throw codedError('ERR_CRYPTO_OPERATION_FAILED', 'No secret can be agreed on');
      return output(secret, outputEncoding);
    }
    getPrime(encoding) {
      return output(this.#prime.slice(), encoding);
    }
    getGenerator(encoding) {
      return output(this.#generator.slice(), encoding);
    }
    getPublicKey(encoding) {
      if (this.#public === undefined)
        throw codedError('ERR_CRYPTO_INVALID_STATE', 'No public key - did you forget to generate one?');
      return output(trimmed(this.#public).slice(), encoding);
    }
    getPrivateKey(encoding) {
      if (this.#private === undefined)
        throw codedError('ERR_CRYPTO_INVALID_STATE', 'No private key - did you forget to generate one?');
      return output(trimmed(this.#private).slice(), encoding);
    }
    static {
      useKey = (exchange, key, isPrivate) => {
        if (isPrivate) exchange.#private = key;
        else exchange.#public = key;
      };
    }
  }

  class DiffieHellman extends Exchange {
    constructor(sizeOrPrime, keyEncoding, generator, generatorEncoding) {
      // (size or prime, generator) without an encoding
      if (
        keyEncoding !== undefined &&
        (typeof keyEncoding !== 'string' || !Buffer.isEncoding(keyEncoding)) &&
        keyEncoding !== 'buffer'
      )
        [generatorEncoding, generator, keyEncoding] = [generator, keyEncoding, undefined];
      let start = Uint8Array.of(2);
      if (typeof generator === 'number') {
        validateInt32(generator, 'generator');
        if (generator < 0 || generator === 1) throw codedError('ERR_OSSL_DH_BAD_GENERATOR', 'bad generator');
        if (generator !== 0) start = numberOf(BigInt(generator), 'generator');
      } else if (generator !== undefined && generator !== null) {
        start = new Uint8Array(bytesOf(generator, generatorEncoding, 'generator'));
        if (trimmed(start).length === 0 || (start.length === 1 && start[0] < 2))
          throw codedError('ERR_OSSL_DH_BAD_GENERATOR', 'bad generator');
      }
      if (typeof sizeOrPrime !== 'number')
        return void super(new Uint8Array(bytesOf(sizeOrPrime, keyEncoding, 'sizeOrKey')), start);
      validateInt32(sizeOrPrime, 'sizeOrKey');
      if (sizeOrPrime < 2) throw codedError('ERR_OSSL_DH_MODULUS_TOO_SMALL', 'modulus too small');
      if (sizeOrPrime < 512 || sizeOrPrime > 10000)
        throw codedError('ERR_INVALID_ARG_VALUE', 'Invalid DH parameters: a prime has 512 to 10000 bits', TypeError);
      // Of a safe prime with such a remainder, 2 or 5 generates half of all numbers.
      const [step, rest] = start.length === 1 && start[0] === 5 ? [60n, 59n] : [24n, 23n];
      const prime = native.primeGenerate(sizeOrPrime, true, numberOf(step, ''), numberOf(rest, ''));
      if (prime === undefined) throw codedError('ERR_CRYPTO_OPERATION_FAILED', 'The prime cannot be generated');
      super(prime, start);
    }
    setPublicKey(key, encoding) {
      useKey(this, new Uint8Array(bytesOf(key, encoding, 'key')), false);
      return this;
    }
    setPrivateKey(key, encoding) {
      useKey(this, new Uint8Array(bytesOf(key, encoding, 'key')), true);
      return this;
    }
  }
  class DiffieHellmanGroup extends Exchange {
    constructor(name) {
      validateString(name, 'name');
      const prime = native.groupPrime(name);
      if (prime === undefined) throw codedError('ERR_CRYPTO_UNKNOWN_DH_GROUP', 'Unknown DH group');
      super(prime, Uint8Array.of(2));
    }
  }

  return {
    DiffieHellman,
    DiffieHellmanGroup,
    createDiffieHellman: (...args) => new DiffieHellman(...args),
    createDiffieHellmanGroup: (name) => new DiffieHellmanGroup(name),
    getDiffieHellman: (name) => new DiffieHellmanGroup(name),
    generatePrime: asynchronous(generatePrimeSync),
    generatePrimeSync,
    checkPrime: asynchronous(checkPrimeSync),
    checkPrimeSync,
  };
}
