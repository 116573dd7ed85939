// node:crypto, over the natives' OpenSSL: hashes, HMAC, random numbers, key derivation, ciphers, and keys (keys.js).
import { codedError } from '../core/coded_error.js';
import { crypto as webcrypto } from '../web/crypto/crypto.js';
import { load } from './loader.js';
import { certificates } from './certificates.js';
import { groups } from './diffie_hellman.js';
import { keys } from './keys.js';
import nodeConstants from 'node-constants';

export function crypto() {
  const { Buffer } = load('buffer');
  const { Transform } = load('stream');
  const { validateFunction, validateInteger, validateString, validateUint32 } = load('internal/validators');
  const { codes } = load('internal/errors');

  /** @param {any} data @param {string} [encoding] @param {string} [what] @returns {Uint8Array} */
  const bytesOf = (data, encoding, what = 'data') => {
    if (typeof data === 'string') return Buffer.from(data, encoding === 'buffer' ? 'utf8' : encoding);
    if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    throw new codes.ERR_INVALID_ARG_TYPE(what, ['string', 'Buffer', 'TypedArray', 'DataView'], data);
  };
  /** @param {Uint8Array} bytes @param {string} [encoding] */
  const output = (bytes, encoding) => {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return encoding === undefined || encoding === null || encoding === 'buffer' ? buffer : buffer.toString(encoding);
  };
  /** Node's and OpenSSL's spellings: "RSA-SHA256" is SHA256. @param {any} name */
  const hashName = (name) => {
    validateString(name, 'algorithm');
    return name.replace(/^rsa-/i, '');
  };
  const unsupported = () => codedError('ERR_CRYPTO_INVALID_DIGEST', 'Digest method not supported');
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

  class Digest extends Transform {
    constructor(handle, options) {
      super(options);
      Object.defineProperty(this, 'handle', { value: handle, writable: true, enumerable: false });
      Object.defineProperty(this, 'done', { value: false, writable: true, enumerable: false });
      Object.defineProperty(this, 'made', { value: undefined, writable: true, enumerable: false });
    }
    update(data, encoding) {
      if (this.done) throw finalized();
      if (this.made !== undefined) throw new codes.ERR_CRYPTO_HASH_UPDATE_FAILED();
      native.hashUpdate(this.handle, bytesOf(data, encoding));
      return this;
    }
    digest(encoding) {
      if (this.done) throw finalized();
      this.done = true;
      return output((this.made ??= native.hashDigest(this.handle)), encoding);
    }
    _transform(chunk, encoding, callback) {
      this.update(chunk, encoding);
      callback();
    }
    _flush(callback) {
      // As in Node, digest gives it once more.
      this.push(Buffer.from((this.made ??= native.hashDigest(this.handle))));
      callback();
    }
  }
  const finalized = () => new codes.ERR_CRYPTO_HASH_FINALIZED();

  const outputLength = (options) => {
    const length = options?.outputLength;
    if (length !== undefined) validateUint32(length, 'options.outputLength');
    return length;
  };
  class Hash extends Digest {
    constructor(algorithm, options) {
      super(native.hashOpen(hashName(algorithm), outputLength(options)), options);
      if (this.handle === undefined) throw unsupported();
    }
    copy(options) {
      if (this.done) throw finalized();
      // A Hash over another handle.
      return Reflect.construct(Digest, [native.hashCopy(this.handle, outputLength(options)), options], Hash);
    }
  }
  class Hmac extends Digest {
    constructor(algorithm, key, options) {
      super(native.hmacOpen(hashName(algorithm), secret(key, 'utf8', 'key')), options);
      if (this.handle === undefined) throw unsupported();
    }
    // As in Node: nothing, the second time.
    digest(encoding) {
      if (!this.done && this.made === undefined) return super.digest(encoding);
      this.done = true;
      return output(new Uint8Array(0), encoding);
    }
  }
  const shared = { Buffer, bytesOf, output, hashName, later };
  const { secretOf, keyObjectState, publicKeyObject, ECDH, Sign, Verify, ...keyFunctions } = keys(shared);
  const { DiffieHellman, DiffieHellmanGroup, ...groupFunctions } = groups(shared);
  /** The bytes of a secret that is a key object or data. */
  const secret = (given, encoding, what) => secretOf(given) ?? bytesOf(given, encoding, what);
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
      secret(key, 'utf8', 'ikm'),
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
    if (key === undefined) throw codedError('ERR_CRYPTO_INVALID_SCRYPT_PARAMS', 'Invalid scrypt params', RangeError);
    return output(key);
  };

  const giveTag = Symbol('giveTag'),
    takeTag = Symbol('takeTag');
  const invalidState = (name) => new codes.ERR_CRYPTO_INVALID_STATE(name);
  const cipher = (encrypt) =>
    class extends Transform {
      #handle;
      #mode;
      #tagged;
      #tagBytes;
      #tag;
      #done = false;
      constructor(algorithm, key, iv, options) {
        validateString(algorithm, 'cipher');
        const bytes = secret(key, undefined, 'key');
        const vector = iv === null ? new Uint8Array(0) : bytesOf(iv, undefined, 'iv');
        super(options);
        const info = native.cipherInfo(algorithm);
        if (info === undefined) throw codedError('ERR_CRYPTO_UNKNOWN_CIPHER', 'Unknown cipher');
        const [, keyBytes, ivBytes, , mode, tagged] = info;
        if (bytes.length !== keyBytes) throw codedError('ERR_CRYPTO_INVALID_KEYLEN', 'Invalid key length', RangeError);
        if (tagged ? vector.length === 0 : vector.length !== ivBytes) throw badVector();
        this.#mode = mode;
        this.#tagged = tagged;
        this.#tagBytes = options?.authTagLength ?? 16;
        if (tagged && !tagSizes(mode, this.#tagBytes)) throw badTag(this.#tagBytes);
        this.#handle = native.cipherOpen(algorithm, encrypt, bytes, vector);
        if (this.#handle === undefined) throw badVector();
      }
      update(data, inputEncoding, outputEncoding) {
        const bytes = bytesOf(data, inputEncoding);
        const made = this.#done ? undefined : native.cipherUpdate(this.#handle, bytes);
        if (made === undefined) throw new Error('Trying to add data in unsupported state');
        return output(made, outputEncoding);
      }
      setAAD(data, options) {
        if (this.#done || !this.#tagged || !native.cipherAuthenticate(this.#handle, bytesOf(data, options?.encoding)))
          throw invalidState('setAAD');
        return this;
      }
      [giveTag](bytes) {
        if (this.#done || !this.#tagged || this.#tag !== undefined) throw invalidState('setAuthTag');
        if (!tagSizes(this.#mode, bytes.length)) throw badTag(bytes.length);
        this.#tag = bytes;
        native.cipherTag(this.#handle, bytes);
      }
      [takeTag]() {
        const tag = this.#done && this.#tagged ? native.cipherTag(this.#handle, this.#tagBytes) : undefined;
        if (tag === undefined) throw invalidState('getAuthTag');
        return tag;
      }
      setAutoPadding(on = true) {
        if (this.#done) throw invalidState('setAutoPadding');
        native.cipherPadding(this.#handle, Boolean(on));
        return this;
      }
      final(outputEncoding) {
        if (this.#done) throw invalidState('final');
        this.#done = true;
        const made = this.#tagged && !encrypt && this.#tag === undefined ? '' : native.cipherFinal(this.#handle);
        if (typeof made !== 'string') return output(made, outputEncoding);
        if (this.#tagged || made === '') throw new Error('Unsupported state or unable to authenticate data');
        const code = `ERR_OSSL_${made.toUpperCase().replace(/ /g, '_')}`;
        throw Object.assign(codedError(code, `error: ${made}`), { reason: made });
      }
      _transform(chunk, encoding, callback) {
        let made;
        try {
          made = this.update(chunk, encoding);
        } catch (error) {
          return callback(error);
        }
        callback(null, made);
      }
      _flush(callback) {
        let made;
        try {
          made = this.final();
        } catch (error) {
          return callback(error);
        }
        callback(null, made);
      }
    };
  const badVector = () => codedError('ERR_CRYPTO_INVALID_IV', 'Invalid initialization vector', TypeError);
  const badTag = (size) =>
    codedError('ERR_CRYPTO_INVALID_AUTH_TAG', `Invalid authentication tag length: ${size}`, TypeError);
  const tagSizes = (mode, size) =>
    mode === 'gcm' ? size === 4 || size === 8 || (size >= 12 && size <= 16) : size >= 1 && size <= 16;
  class Cipheriv extends cipher(true) {
    getAuthTag() {
      return output(this[takeTag]());
    }
  }
  class Decipheriv extends cipher(false) {
    setAuthTag(tag, encoding) {
      this[giveTag](bytesOf(tag, encoding, 'buffer'));
      return this;
    }
  }

  const exports = {
    Hash: callable(Hash),
    Hmac: callable(Hmac),
    createHash: (algorithm, options) => new Hash(algorithm, options),
    createHmac: (algorithm, key, options) => new Hmac(algorithm, key, options),
    createCipheriv: (algorithm, key, iv, options) => new Cipheriv(algorithm, key, iv, options),
    createDecipheriv: (algorithm, key, iv, options) => new Decipheriv(algorithm, key, iv, options),
    getCiphers: () => native.cipherNames().map((name) => name.toLowerCase()),
    getCipherInfo(name, options) {
      validateString(name, 'nameOrNid');
      const info = native.cipherInfo(name);
      if (info === undefined) return undefined;
      const [known, keyLength, ivLength, blockSize, mode, tagged] = info;
      if (options?.keyLength !== undefined && options.keyLength !== keyLength) return undefined;
      const vector = options?.ivLength ?? ivLength;
      if (tagged ? vector < 1 : vector !== ivLength) return undefined;
      return {
        mode,
        name: known.toLowerCase(),
        ...(mode === 'stream' ? {} : { blockSize }),
        ...(ivLength === 0 ? {} : { ivLength: vector }),
        keyLength,
      };
    },
    getCurves: () => native.curveNames().sort(),
    getHashes: () => native.hashNames().map((name) => name.toLowerCase()),
    hash(algorithm, data, options) {
      const encoding = (typeof options === 'string' ? options : options?.outputEncoding) ?? 'hex';
      if (outputLength(options) !== undefined)
        return new Hash(algorithm, options).update(bytesOf(data, 'utf8')).digest(encoding);
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
    /** RFC 9562: 48 bits of milliseconds, and random ones. */
    randomUUIDv7() {
      const hex = Date.now().toString(16).padStart(12, '0');
      return `${hex.slice(0, 8)}-${hex.slice(8)}-7${webcrypto.randomUUID().slice(15)}`;
    },
    getRandomValues: (array) => webcrypto.getRandomValues(array),
    timingSafeEqual(a, b) {
      const one = bytesOf(a, undefined, 'buf1'),
        two = bytesOf(b, undefined, 'buf2');
      if (one.length !== two.length)
        throw codedError(
          'ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH',
          'Input buffers must have the same byte length',
          RangeError,
        );
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
    constants: nodeConstants.crypto,
    ...keyFunctions,
    ...groupFunctions,
    ...certificates({ ...shared, publicKeyObject, keyOf: keyObjectState }),
    DiffieHellman: callable(DiffieHellman),
    DiffieHellmanGroup: callable(DiffieHellmanGroup),
    Cipheriv: callable(Cipheriv),
    Decipheriv: callable(Decipheriv),
    ECDH: callable(ECDH),
    Sign: callable(Sign),
    Verify: callable(Verify),
    getFips: () => 0,
  };
  // Some call them with `new`, which Node's functions take.
  for (const name of Object.keys(exports)) {
    const make = exports[name];
    if (!name.startsWith('create')) continue;
    exports[name] = function (...args) {
      return make(...args);
    };
    Object.defineProperty(exports[name], 'name', { value: name, configurable: true });
  }
  return exports;
}
