// node:crypto, over the natives' OpenSSL: hashes, HMAC, random numbers, key derivation, and the ciphers that one call can do.
import { crypto as webcrypto } from '../crypto.js';
import { load } from './loader.js';
import { absent, refusal } from './absent.js';

export function crypto() {
  const { Buffer } = load('buffer');
  const { Transform } = load('stream');
  const { validateFunction, validateInteger, validateString } = load('internal/validators');
  const { codes } = load('internal/errors');

  /** @param {any} data @param {string} [encoding] @param {string} [what] @returns {Uint8Array} */
  const bytesOf = (data, encoding, what = 'data') => {
    if (typeof data === 'string') return Buffer.from(data, encoding === 'buffer' ? 'utf8' : encoding);
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (data instanceof KeyObject) return data.export();
    throw new codes.ERR_INVALID_ARG_TYPE(what, ['string', 'Buffer', 'TypedArray', 'DataView'], data);
  };
  /** @param {Uint8Array} bytes @param {string} [encoding] */
  const output = (bytes, encoding) => {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return encoding === undefined || encoding === 'buffer' ? buffer : buffer.toString(encoding);
  };
  /** Node's and OpenSSL's spellings: "RSA-SHA256" is SHA256. @param {any} name */
  const hashName = (name) => {
    validateString(name, 'algorithm');
    return name.replace(/^rsa-/i, '');
  };
  const unsupported = () => {
    const error = new Error('Digest method not supported');
    error.code = 'ERR_CRYPTO_INVALID_DIGEST';
    return error;
  };
  /** Runs in a turn of its own. @param {Function} callback @param {() => any} work */
  const later = (callback, work) => {
    validateFunction(callback, 'callback');
    setImmediate(() => {
      let result;
      try {
        result = work();
      } catch (error) {
        return callback(error);
      }
      callback(null, result);
    });
  };

  class KeyObject {
    #bytes;
    constructor(type, bytes) {
      if (type !== 'secret') throw refusal('crypto', 'KeyObject', 'asymmetric keys are those of crypto.subtle');
      this.#bytes = bytes;
    }
    get type() {
      return 'secret';
    }
    get symmetricKeySize() {
      return this.#bytes.length;
    }
    export(options) {
      if (options?.format === 'jwk') return { kty: 'oct', k: Buffer.from(this.#bytes).toString('base64url') };
      return Buffer.from(this.#bytes);
    }
    equals(other) {
      return other instanceof KeyObject && timingSafe(this.#bytes, other.#bytes);
    }
  }
  const timingSafe = (a, b) => a.length === b.length && native.equal(a, b);

  class Digest extends Transform {
    constructor(handle, options) {
      super(options);
      Object.defineProperty(this, 'handle', { value: handle, writable: true, enumerable: false });
      Object.defineProperty(this, 'done', { value: false, writable: true, enumerable: false });
    }
    update(data, encoding) {
      if (this.done) throw finalized();
      native.hashUpdate(this.handle, bytesOf(data, encoding));
      return this;
    }
    digest(encoding) {
      if (this.done) throw finalized();
      this.done = true;
      return output(native.hashDigest(this.handle), encoding);
    }
    _transform(chunk, encoding, callback) {
      this.update(chunk, encoding);
      callback();
    }
    _flush(callback) {
      this.push(this.digest());
      callback();
    }
  }
  const finalized = () => new codes.ERR_CRYPTO_HASH_FINALIZED();

  class Hash extends Digest {
    constructor(algorithm, options) {
      super(native.hashOpen(hashName(algorithm), options?.outputLength), options);
      if (this.handle === undefined) throw unsupported();
    }
    copy(options) {
      if (this.done) throw finalized();
      // A Hash over another handle.
      return Reflect.construct(Digest, [native.hashCopy(this.handle, options?.outputLength), options], Hash);
    }
  }
  class Hmac extends Digest {
    constructor(algorithm, key, options) {
      super(native.hmacOpen(hashName(algorithm), bytesOf(key, 'utf8', 'key')), options);
      if (this.handle === undefined) throw unsupported();
    }
  }
  const callable = (Class) => new Proxy(Class, { apply: (target, _self, args) => new target(...args) });

  const randomBytes = (size, callback) => {
    validateInteger(size, 'size', 0, 2147483647);
    const make = () => randomFillSync(Buffer.alloc(size));
    if (callback === undefined) return make();
    later(callback, make);
  };
  const randomFillSync = (buffer, offset = 0, size = undefined) => {
    const bytes = ArrayBuffer.isView(buffer)
      ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
      : new Uint8Array(buffer);
    validateInteger(offset, 'offset', 0, bytes.length);
    native.random(bytes.subarray(offset, size === undefined ? bytes.length : offset + size));
    return buffer;
  };
  const randomInt = (min, max, callback) => {
    if (max === undefined || typeof max === 'function') [min, max, callback] = [0, min, max];
    validateInteger(min, 'min');
    validateInteger(max, 'max');
    if (max <= min) throw new codes.ERR_OUT_OF_RANGE('max', `greater than the value of "min" (${min})`, max);
    const range = max - min;
    if (range >= 2 ** 48) throw new codes.ERR_OUT_OF_RANGE('max - min', `<= ${2 ** 48 - 1}`, range);
    const make = () => {
      // What would favour small numbers is thrown away.
      const limit = 2 ** 48 - (2 ** 48 % range);
      for (;;) {
        const bytes = randomFillSync(new Uint8Array(6));
        let value = 0;
        for (const byte of bytes) value = value * 256 + byte;
        if (value < limit) return min + (value % range);
      }
    };
    if (callback === undefined) return make();
    later(callback, make);
  };

  const pbkdf2Sync = (password, salt, iterations, length, digest) => {
    validateInteger(iterations, 'iterations', 1, 2147483647);
    validateInteger(length, 'keylen', 0, 2147483647);
    const key = native.pbkdf2(
      hashName(digest),
      bytesOf(password, 'utf8', 'password'),
      bytesOf(salt, 'utf8', 'salt'),
      iterations,
      length,
    );
    if (key === undefined) throw unsupported();
    return output(key);
  };
  const hkdfSync = (digest, key, salt, info, length) => {
    validateInteger(length, 'length', 0, 2147483647);
    const derived = native.hkdf(
      hashName(digest),
      bytesOf(key, 'utf8', 'ikm'),
      bytesOf(salt, 'utf8', 'salt'),
      bytesOf(info, 'utf8', 'info'),
      length,
    );
    if (derived === undefined) throw unsupported();
    return derived.slice().buffer;
  };
  const scryptSync = (password, salt, length, options = {}) => {
    validateInteger(length, 'keylen', 0, 2147483647);
    const N = options.N ?? options.cost ?? 16384;
    const r = options.r ?? options.blockSize ?? 8;
    const p = options.p ?? options.parallelization ?? 1;
    const key = native.scrypt(
      bytesOf(password, 'utf8', 'password'),
      bytesOf(salt, 'utf8', 'salt'),
      N,
      r,
      p,
      options.maxmem ?? 32 * 1024 * 1024,
      length,
    );
    if (key === undefined) {
      const error = new RangeError('Invalid scrypt params');
      error.code = 'ERR_CRYPTO_INVALID_SCRYPT_PARAMS';
      throw error;
    }
    return output(key);
  };

  /** AES in one go, when final() is called. */
  const cipher = (encrypt) =>
    class extends Transform {
      constructor(algorithm, key, iv, options) {
        super(options);
        const [, , mode] = /^(?:id-)?aes-?(128|192|256)-(cbc|ctr|gcm)$/i.exec(algorithm) ?? [];
        if (mode === undefined)
          throw refusal(
            'crypto',
            encrypt ? 'createCipheriv' : 'createDecipheriv',
            `"${algorithm}" is not one of aes-128, 192 and 256 in cbc, ctr and gcm`,
          );
        const bits = Number(/(128|192|256)/.exec(algorithm)[1]);
        const state = {
          mode: mode.toUpperCase(),
          key: bytesOf(key),
          iv: iv === null ? new Uint8Array(0) : bytesOf(iv),
          data: [],
          aad: [],
          tag: undefined,
          padding: true,
        };
        if (state.key.length * 8 !== bits) throw new RangeError('Invalid key length');
        if (state.mode !== 'GCM' && state.iv.length !== 16) throw new TypeError('Invalid initialization vector');
        Object.defineProperty(this, 'state', { value: state, enumerable: false });
      }
      update(data, inputEncoding, outputEncoding) {
        this.state.data.push(Buffer.from(bytesOf(data, inputEncoding)));
        return output(Buffer.alloc(0), outputEncoding);
      }
      setAAD(data) {
        this.state.aad.push(bytesOf(data));
        return this;
      }
      setAuthTag(tag) {
        this.state.tag = bytesOf(tag);
        return this;
      }
      getAuthTag() {
        return output(this.state.tag);
      }
      setAutoPadding(on = true) {
        if (!on) throw refusal('crypto', 'setAutoPadding', 'ciphers without padding are not there');
        return this;
      }
      final(outputEncoding) {
        const { mode, key, iv, data, aad, tag } = this.state;
        const bytes = Buffer.concat(data);
        let result;
        if (mode === 'CTR') result = native.aesCtr(key, iv, 128, bytes);
        else if (mode === 'CBC') result = native.aes('CBC', encrypt, key, iv, bytes, new Uint8Array(0), 0);
        else if (encrypt) {
          const sealed = native.aes('GCM', true, key, iv, bytes, Buffer.concat(aad), 16);
          this.state.tag = sealed.slice(sealed.length - 16);
          result = sealed.subarray(0, sealed.length - 16);
        } else {
          result =
            tag === undefined
              ? undefined
              : native.aes('GCM', false, key, iv, Buffer.concat([bytes, tag]), Buffer.concat(aad), tag.length);
        }
        if (result === undefined) throw new Error('Unsupported state or unable to authenticate data');
        return output(result, outputEncoding);
      }
      _transform(chunk, encoding, callback) {
        this.update(chunk, encoding);
        callback();
      }
      _flush(callback) {
        try {
          this.push(this.final());
          callback();
        } catch (error) {
          callback(error);
        }
      }
    };
  const Cipheriv = cipher(true);
  const Decipheriv = cipher(false);

  const exports = {
    Hash: callable(Hash),
    Hmac: callable(Hmac),
    KeyObject,
    createHash: (algorithm, options) => new Hash(algorithm, options),
    createHmac: (algorithm, key, options) => new Hmac(algorithm, key, options),
    createSecretKey: (key, encoding) => new KeyObject('secret', Uint8Array.from(bytesOf(key, encoding, 'key'))),
    createCipheriv: (algorithm, key, iv, options) => new Cipheriv(algorithm, key, iv, options),
    createDecipheriv: (algorithm, key, iv, options) => new Decipheriv(algorithm, key, iv, options),
    getCiphers: () =>
      ['128', '192', '256'].flatMap((bits) => ['cbc', 'ctr', 'gcm'].map((mode) => `aes-${bits}-${mode}`)),
    getHashes: () => native.hashNames().map((name) => name.toLowerCase()),
    hash(algorithm, data, encoding = 'hex') {
      const bytes = native.digest(hashName(algorithm), bytesOf(data, 'utf8'));
      if (bytes === undefined) throw unsupported();
      return output(bytes, encoding);
    },
    randomBytes,
    pseudoRandomBytes: randomBytes,
    randomFillSync,
    randomFill(buffer, offset, size, callback) {
      const done = [offset, size, callback].find((argument) => typeof argument === 'function');
      later(done, () =>
        randomFillSync(buffer, typeof offset === 'number' ? offset : 0, typeof size === 'number' ? size : undefined),
      );
    },
    randomInt,
    randomUUID: () => webcrypto.randomUUID(),
    getRandomValues: (array) => webcrypto.getRandomValues(array),
    timingSafeEqual(a, b) {
      const one = bytesOf(a, undefined, 'buf1'),
        two = bytesOf(b, undefined, 'buf2');
      if (one.length !== two.length)
        throw Object.assign(new RangeError('Input buffers must have the same byte length'), {
          code: 'ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH',
        });
      return native.equal(one, two);
    },
    pbkdf2Sync,
    pbkdf2: (password, salt, iterations, length, digest, callback) =>
      later(callback, () => pbkdf2Sync(password, salt, iterations, length, digest)),
    hkdfSync,
    hkdf: (digest, key, salt, info, length, callback) =>
      later(callback, () => hkdfSync(digest, key, salt, info, length)),
    scryptSync,
    scrypt: (password, salt, length, options, callback) =>
      later(callback ?? options, () => scryptSync(password, salt, length, callback === undefined ? {} : options)),
    webcrypto,
    subtle: webcrypto.subtle,
    constants: {},
    getFips: () => 0,
  };
  const reason = 'use crypto.subtle';
  for (const name of [
    'createSign',
    'createVerify',
    'sign',
    'verify',
    'createPublicKey',
    'createPrivateKey',
    'generateKeyPair',
    'generateKeyPairSync',
    'generateKey',
    'generateKeySync',
    'publicEncrypt',
    'privateDecrypt',
    'privateEncrypt',
    'publicDecrypt',
    'createDiffieHellman',
    'createECDH',
    'diffieHellman',
    'X509Certificate',
  ])
    // prettier-ignore
    exports[name] = absent('crypto', name, reason);
  return exports;
}
