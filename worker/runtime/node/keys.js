// What node:crypto has for keys: KeyObject, keys of two halves read, written and generated, signatures, RSA's encryption, and ECDH.
import { codedError } from '../core/coded_error.js';
import { isCryptoKey, stateOf } from '../web/crypto/key.js';
import { importKey } from '../web/crypto/subtle.js';
import { load } from './loader.js';

const none = new Uint8Array(0);
const kPkcs1 = 1,
  kNoPadding = 3,
  kOaep = 4,
  kPss = 6;
const kMaxSalt = -2; // as long as the key allows; when verifying, as long as it is

/** Node's names of curves in JSON Web Keys. @type {Record<string, string>} */
const jwkCurves = {
  __proto__: null,
  prime256v1: 'P-256',
  secp256k1: 'secp256k1',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
};
const rsaFields = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'];

/** @param {{Buffer: any, bytesOf: Function, output: Function, hashName: Function, later: Function}} shared of crypto.js */
export function keys({ Buffer, bytesOf, output, hashName, later }) {
  const { Writable } = load('stream');
  const { validateObject, validateOneOf, validateString, validateUint32 } = load('internal/validators');
  const { codes } = load('internal/errors');

  const wrongHalf = (type, expected) => new codes.ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE(type, expected);
  const base64url = (bytes) => Buffer.from(bytes).toString('base64url');

  /** By key object: its type, and a native key or a secret's bytes. @type {WeakMap<object, {type: string, key: any}>} */
  const states = new WeakMap();

  class KeyObject {
    constructor(type, key) {
      if (!['secret', 'public', 'private'].includes(type)) throw new codes.ERR_INVALID_ARG_VALUE('type', type);
      if (key === undefined || key === null || typeof key !== 'object')
        throw new codes.ERR_INVALID_ARG_TYPE('handle', 'object', key);
      states.set(this, { type, key });
    }
    static from(key) {
      if (!isCryptoKey(key)) throw new codes.ERR_INVALID_ARG_TYPE('key', 'CryptoKey', key);
      const { type, data } = stateOf(key);
      return make(type, data);
    }
    get type() {
      return states.get(this).type;
    }
    equals(other) {
      if (!states.has(other)) throw new codes.ERR_INVALID_ARG_TYPE('otherKeyObject', 'KeyObject', other);
      const one = states.get(this),
        two = states.get(other);
      if (one.type !== two.type) return false;
      if (one.type !== 'secret') return native.keyEqual(one.key, two.key);
      return one.key.length === two.key.length && native.equal(one.key, two.key);
    }
    toCryptoKey(algorithm, extractable, usages) {
      const { type, key } = states.get(this);
      const [format, data] =
        type === 'secret'
          ? ['raw', key]
          : type === 'public'
            ? ['spki', native.keyExport(key, 'spki')]
            : ['pkcs8', native.keyExport(key, 'pkcs8')];
      return importKey(format, data, algorithm, extractable, usages);
    }
  }
  Object.defineProperty(KeyObject.prototype, Symbol.toStringTag, { value: 'KeyObject', configurable: true });

  class SecretKeyObject extends KeyObject {
    get symmetricKeySize() {
      return states.get(this).key.length;
    }
    export(options) {
      const bytes = states.get(this).key;
      if (options !== undefined) {
        validateObject(options, 'options');
        validateOneOf(options.format, 'options.format', [undefined, 'buffer', 'jwk']);
        if (options.format === 'jwk') return { kty: 'oct', k: base64url(bytes) };
      }
      return Buffer.from(bytes);
    }
  }

  class AsymmetricKeyObject extends KeyObject {
    get asymmetricKeyType() {
      return native.keyInfo(states.get(this).key)[0].toLowerCase();
    }
    get asymmetricKeyDetails() {
      const { key } = states.get(this);
      const [kind, bits, curve] = native.keyInfo(key);
      if (kind === 'EC') return { namedCurve: curve };
      if (kind !== 'RSA') return {};
      const exponent = native.keyParts(key, false)[1];
      return { modulusLength: bits, publicExponent: BigInt(`0x${Buffer.from(exponent).toString('hex')}`) };
    }
    export(options) {
      validateObject(options, 'options');
      const { type, key } = states.get(this);
      return options.format === 'jwk' ? toJwk(key, type === 'private') : write(key, type, options);
    }
  }
  class PublicKeyObject extends AsymmetricKeyObject {}
  class PrivateKeyObject extends AsymmetricKeyObject {}
  const classes = { secret: SecretKeyObject, public: PublicKeyObject, private: PrivateKeyObject };
  const make = (type, key) => new classes[type](type, key);

  // ---- JSON Web Keys

  /** @param {any} key @param {boolean} isPrivate */
  function toJwk(key, isPrivate) {
    const [kind, , curve] = native.keyInfo(key);
    const parts = native.keyParts(key, isPrivate).map(base64url);
    const named = (names) => Object.fromEntries(names.map((name, i) => [name, parts[i]]).filter(([, v]) => v));
    if (kind === 'RSA') return { kty: 'RSA', ...named(rsaFields) };
    if (kind === 'EC') {
      const crv = jwkCurves[curve];
      if (crv === undefined)
        throw codedError('ERR_CRYPTO_JWK_UNSUPPORTED_CURVE', `Unsupported JWK EC curve: ${curve}.`);
      const { x, y, d } = named(['x', 'y', 'd']);
      return { kty: 'EC', x, y, crv, ...(d === undefined ? {} : { d }) };
    }
    if (!/^(ED|X)(25519|448)$/.test(kind))
      throw codedError('ERR_CRYPTO_JWK_UNSUPPORTED_KEY_TYPE', 'Unsupported JWK Key Type.');
    const { x, d } = named(['x', 'd']);
    return { kty: 'OKP', crv: kind.replace('ED', 'Ed'), x, ...(d === undefined ? {} : { d }) };
  }

  /** [native key, whether it is private] @param {any} jwk */
  function fromJwk(jwk) {
    validateObject(jwk, 'key.key');
    validateOneOf(jwk.kty, 'key.kty', ['RSA', 'EC', 'OKP']);
    const part = (name) => {
      validateString(jwk[name], `key.${name}`);
      return new Uint8Array(Buffer.from(jwk[name], 'base64url'));
    };
    const isPrivate = jwk.d !== undefined;
    let key;
    if (jwk.kty === 'RSA') {
      key = native.keyRsa((isPrivate ? rsaFields : rsaFields.slice(0, 2)).map(part));
    } else if (jwk.kty === 'EC') {
      const curve = Object.keys(jwkCurves).find((name) => jwkCurves[name] === jwk.crv);
      if (curve === undefined) throw new codes.ERR_INVALID_ARG_VALUE('key.crv', jwk.crv);
      const point = Buffer.concat([[4], part('x'), part('y')].map((bytes) => Buffer.from(bytes)));
      key = native.keyEc(curve, point, isPrivate ? part('d') : undefined);
    } else {
      validateOneOf(jwk.crv, 'key.crv', ['Ed25519', 'Ed448', 'X25519', 'X448']);
      key = native.keyRaw(jwk.crv.toUpperCase(), isPrivate, part(isPrivate ? 'd' : 'x'));
    }
    if (key === undefined) throw codedError('ERR_CRYPTO_INVALID_JWK', 'Invalid JWK data', TypeError);
    return [key, isPrivate];
  }

  // ---- PEM and DER

  const unreadable = () =>
    codedError('ERR_OSSL_UNSUPPORTED', 'error:1E08010C:DECODER routines::unsupported: the text is no key of this kind');

  /** @param {Uint8Array} bytes @param {string} format @param {string} half @param {any} passphrase */
  function read(bytes, format, half, passphrase) {
    const secret =
      passphrase === undefined || passphrase === null ? undefined : bytesOf(passphrase, 'utf8', 'passphrase');
    const key = native.keyRead(bytes, format, half, secret);
    if (key === false) throw codedError('ERR_MISSING_PASSPHRASE', 'Passphrase required for encrypted key', TypeError);
    return key;
  }

  /**
   * What an argument says is a key: its state.
   * @param {any} given @param {string} half 'private', or 'public', for which a private key stands too
   * @returns {{type: string, key: any}}
   */
  function keyOf(given, half, name = 'key') {
    if (states.has(given)) return checked(states.get(given), half);
    if (isCryptoKey(given)) return checked({ type: stateOf(given).type, key: stateOf(given).data }, half);
    if (typeof given === 'string' || ArrayBuffer.isView(given) || given instanceof ArrayBuffer)
      return parse(bytesOf(given, 'utf8', name), 'pem', undefined, half);
    if (typeof given !== 'object' || given === null)
      throw new codes.ERR_INVALID_ARG_TYPE(
        name,
        ['ArrayBuffer', 'Buffer', 'TypedArray', 'DataView', 'string', 'KeyObject', 'CryptoKey', 'object'],
        given,
      );
    const { key, format = 'pem', passphrase, encoding } = given;
    if (states.has(key) || isCryptoKey(key)) return keyOf(key, half);
    validateOneOf(format, 'key.format', ['pem', 'der', 'jwk', 'raw-public', 'raw-private', 'raw-seed']);
    if (format === 'jwk') {
      const [made, isPrivate] = fromJwk(key);
      return checked({ type: isPrivate ? 'private' : 'public', key: made }, half);
    }
    if (format === 'der' && given.type === undefined) throw new codes.ERR_INVALID_ARG_VALUE('key.type', given.type);
    return parse(bytesOf(key, encoding, `${name}.key`), format, passphrase, half);
  }
  function checked(state, half) {
    if (state.type === 'secret' || (half === 'private' && state.type !== 'private'))
      throw wrongHalf(state.type, half === 'private' ? 'private' : 'private or public');
    return state;
  }
  function parse(bytes, format, passphrase, half) {
    const kind = format.toUpperCase();
    if (half === 'private') {
      const key = read(bytes, kind, 'private', passphrase);
      if (key === undefined) throw unreadable();
      return { type: 'private', key };
    }
    const certificate = kind === 'PEM' && Buffer.from(bytes).includes('-----BEGIN CERTIFICATE-----');
    const key = read(bytes, certificate ? 'CERTIFICATE' : kind, 'public', undefined);
    if (key !== undefined) return { type: 'public', key };
    const whole = certificate ? undefined : read(bytes, kind, 'private', passphrase);
    if (whole === undefined) throw unreadable();
    return { type: 'private', key: whole };
  }

  /** OpenSSL's names of what a key is written as. @type {Record<string, Record<string, string>>} */
  const structures = {
    public: { pkcs1: 'pkcs1', spki: 'SubjectPublicKeyInfo' },
    private: { pkcs1: 'pkcs1', pkcs8: 'PrivateKeyInfo', sec1: 'type-specific' },
  };
  /** @param {any} key @param {string} half @param {any} encoding {type, format, cipher, passphrase} */
  function write(key, half, encoding, name = 'options') {
    const { type, format, cipher, passphrase } = encoding;
    const kind = native.keyInfo(key)[0];
    validateOneOf(format, `${name}.format`, ['pem', 'der']);
    validateOneOf(type, `${name}.type`, Object.keys(structures[half]));
    if (type === 'pkcs1' && kind !== 'RSA')
      throw new codes.ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS(type, 'can only be used for RSA keys');
    if (type === 'sec1' && kind !== 'EC')
      throw new codes.ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS(type, 'can only be used for EC keys');
    if (cipher === undefined || cipher === null) {
      if (passphrase !== undefined && half === 'private')
        throw new codes.ERR_INVALID_ARG_VALUE(`${name}.cipher`, cipher);
    } else {
      validateString(cipher, `${name}.cipher`);
      if (format === 'der' && type !== 'pkcs8')
        throw new codes.ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS(type, 'does not support encryption');
    }
    const secret = cipher ? bytesOf(passphrase, 'utf8', `${name}.passphrase`) : undefined;
    const bytes = native.keyWrite(key, format.toUpperCase(), structures[half][type], half, cipher ?? undefined, secret);
    if (bytes === undefined)
      throw codedError('ERR_CRYPTO_UNKNOWN_CIPHER', `The key cannot be written${cipher ? ` with ${cipher}` : ''}`);
    return format === 'pem' ? Buffer.from(bytes).toString('latin1') : output(bytes);
  }

  const publicOf = (key) => native.keyImport('spki', native.keyExport(key, 'spki'));

  function createPublicKey(given) {
    const { type, key } = keyOf(given, 'public');
    return make('public', type === 'private' ? publicOf(key) : key);
  }
  function createPrivateKey(given) {
    if (states.has(given)) throw new codes.ERR_INVALID_ARG_TYPE('key', ['string', 'Buffer', 'object'], given);
    return make('private', keyOf(given, 'private').key);
  }

  // ---- generating

  const kinds = ['rsa', 'ec', 'ed25519', 'ed448', 'x25519', 'x448'];
  function generateKeyPairSync(type, options) {
    validateString(type, 'type');
    if (!kinds.includes(type)) throw new codes.ERR_INVALID_ARG_VALUE('type', type, 'must be a supported key type');
    if (options !== undefined || type === 'rsa' || type === 'ec') validateObject(options, 'options');
    let key;
    if (type === 'rsa') {
      const { modulusLength, publicExponent = 65537 } = options;
      validateUint32(modulusLength, 'options.modulusLength');
      validateUint32(publicExponent, 'options.publicExponent');
      key = native.keyGenerate('RSA', modulusLength, publicExponent);
      if (key === undefined)
        throw codedError('ERR_OSSL_RSA_KEY_SIZE_TOO_SMALL', 'RSA keys of this size and exponent cannot be generated');
    } else if (type === 'ec') {
      validateString(options.namedCurve, 'options.namedCurve');
      key = native.keyGenerate('EC', options.namedCurve);
      if (key === undefined) throw codedError('ERR_CRYPTO_INVALID_CURVE', 'Invalid EC curve name', TypeError);
    } else key = native.keyGenerate(type.toUpperCase());
    const given = (half, encoding) => {
      const made = half === 'public' ? publicOf(key) : key;
      if (encoding === undefined || encoding === null) return make(half, made);
      const name = `options.${half}KeyEncoding`;
      validateObject(encoding, name);
      return encoding.format === 'jwk' ? toJwk(made, half === 'private') : write(made, half, encoding, name);
    };
    return {
      publicKey: given('public', options?.publicKeyEncoding),
      privateKey: given('private', options?.privateKeyEncoding),
    };
  }
  function generateKeyPair(type, options, callback) {
    if (typeof options === 'function') [callback, options] = [options, undefined];
    later(
      (error, pair) => (error ? callback(error) : callback(null, pair.publicKey, pair.privateKey)),
      () => generateKeyPairSync(type, options),
    );
  }
  Object.defineProperty(generateKeyPair, load('internal/util').customPromisifyArgs, {
    value: ['publicKey', 'privateKey'],
  });
  function generateKeySync(type, options) {
    validateOneOf(type, 'type', ['hmac', 'aes']);
    validateObject(options, 'options');
    const { length } = options;
    if (type === 'aes') validateOneOf(length, 'options.length', [128, 192, 256]);
    else validateUint32(length, 'options.length');
    if (length < 8) throw new codes.ERR_OUT_OF_RANGE('options.length', '>= 8 && <= 2147483647', length);
    const bytes = new Uint8Array(Math.floor(length / 8));
    native.random(bytes);
    return make('secret', bytes);
  }

  // ---- signatures

  /** The arguments of native.sign and native.verify: of hash null, what the key's kind takes. */
  function signature(algorithm, data, { key }, options) {
    const kind = native.keyInfo(key)[0];
    if (kind.startsWith('X'))
      throw codedError(
        'ERR_OSSL_EVP_OPERATION_NOT_SUPPORTED_FOR_THIS_KEYTYPE',
        `${kind} keys agree on secrets and do not sign`,
      );
    const own = kind === 'ED25519' || kind === 'ED448';
    if (own && algorithm !== null && algorithm !== undefined)
      throw codedError('ERR_CRYPTO_UNSUPPORTED_OPERATION', `${kind} keys sign without a digest: give null`);
    const hash = own ? undefined : algorithm === null || algorithm === undefined ? 'SHA256' : hashName(algorithm);
    if (hash !== undefined && native.digest(hash, none) === undefined)
      throw new codes.ERR_CRYPTO_INVALID_DIGEST(algorithm);
    const padding = options.padding ?? kPkcs1;
    if (padding !== kPkcs1 && padding !== kPss) throw new codes.ERR_INVALID_ARG_VALUE('options.padding', padding);
    const encoding = options.dsaEncoding ?? 'der';
    if (encoding !== 'der' && encoding !== 'ieee-p1363')
      throw new codes.ERR_INVALID_ARG_VALUE('options.dsaEncoding', encoding);
    return [key, hash, data, padding === kPss ? 'PSS' : 'PKCS1', options.saltLength ?? kMaxSalt, encoding === 'der'];
  }
  const optionsOf = (given) =>
    typeof given === 'object' && given !== null && !states.has(given) && !isCryptoKey(given) ? given : {};

  function signSync(algorithm, data, given) {
    const made = native.sign(...signature(algorithm, bytesOf(data), keyOf(given, 'private'), optionsOf(given)));
    if (made === undefined) throw codedError('ERR_CRYPTO_OPERATION_FAILED', 'The key cannot sign this');
    return output(made);
  }
  function verifySync(algorithm, data, given, made) {
    return native.verify(
      ...signature(algorithm, bytesOf(data), keyOf(given, 'public'), optionsOf(given)),
      bytesOf(made, undefined, 'signature'),
    );
  }
  const sign = (algorithm, data, key, callback) =>
    callback === undefined ? signSync(algorithm, data, key) : later(callback, () => signSync(algorithm, data, key));
  const verify = (algorithm, data, key, made, callback) =>
    callback === undefined
      ? verifySync(algorithm, data, key, made)
      : later(callback, () => verifySync(algorithm, data, key, made));

  class Signing extends Writable {
    #algorithm;
    #pieces = [];
    constructor(algorithm, options) {
      validateString(algorithm, 'algorithm');
      super(options);
      this.#algorithm = algorithm;
      if (native.digest(hashName(algorithm), none) === undefined) throw new codes.ERR_CRYPTO_INVALID_DIGEST(algorithm);
    }
    update(data, encoding) {
      this.#pieces.push(Buffer.from(bytesOf(data, encoding)));
      return this;
    }
    _write(chunk, encoding, callback) {
      this.update(chunk, encoding);
      callback();
    }
    take() {
      return [this.#algorithm, Buffer.concat(this.#pieces)];
    }
  }
  class Sign extends Signing {
    sign(key, encoding) {
      if (!key) throw new codes.ERR_CRYPTO_SIGN_KEY_REQUIRED();
      return output(signSync(...this.take(), key), encoding);
    }
  }
  class Verify extends Signing {
    verify(key, made, encoding) {
      return verifySync(...this.take(), key, bytesOf(made, encoding, 'signature'));
    }
  }

  // ---- RSA's encryption

  /** @param {string} use of native.rsa @param {string} half @param {number} usual padding */
  const rsa = (use, half, usual) => (given, data) => {
    const options = optionsOf(given);
    const { key } = keyOf(given, half);
    const bytes = bytesOf(data, options.encoding, 'buffer');
    const padding = options.padding ?? usual;
    const label = options.oaepLabel === undefined ? none : bytesOf(options.oaepLabel, 'utf8', 'key.oaepLabel');
    let result;
    if (padding === kOaep && usual === kOaep)
      result = native.rsaOaep(key, use, hashName(options.oaepHash ?? 'sha1'), label, bytes);
    else if (padding === kPkcs1 || padding === kNoPadding) result = native.rsa(key, use, padding === kPkcs1, bytes);
    else if (usual === kOaep) throw new codes.ERR_INVALID_ARG_VALUE('key.padding', padding);
    else throw codedError('ERR_OSSL_RSA_ILLEGAL_OR_UNSUPPORTED_PADDING_MODE', 'illegal or unsupported padding mode');
    if (result !== undefined) return output(result);
    throw use === 'encrypt' || use === 'sign'
      ? codedError(
          'ERR_OSSL_RSA_DATA_TOO_LARGE_FOR_KEY_SIZE',
          'the data has not the size that this key and padding take',
        )
      : codedError('ERR_OSSL_RSA_OAEP_DECODING_ERROR', 'the data was not encrypted for this key, or otherwise');
  };

  // ---- agreement

  function agreeSync({ privateKey, publicKey }) {
    const own = keyOf(privateKey, 'private', 'options.privateKey');
    const other = keyOf(publicKey, 'public', 'options.publicKey');
    const secret = native.agree(own.key, other.key);
    if (secret === undefined)
      throw codedError(
        'ERR_CRYPTO_INCOMPATIBLE_KEY',
        'Incompatible key types for Diffie-Hellman: no secret can be agreed on',
      );
    return output(secret);
  }
  const diffieHellman = (options, callback) => {
    validateObject(options, 'options');
    return callback === undefined ? agreeSync(options) : later(callback, () => agreeSync(options));
  };

  class ECDH {
    #curve;
    #key;
    constructor(curve) {
      validateString(curve, 'curve');
      this.#curve = curve;
      this.#key = native.keyGenerate('EC', curve);
      if (this.#key === undefined) throw codedError('ERR_CRYPTO_INVALID_CURVE', 'Invalid EC curve name', TypeError);
    }
    generateKeys(encoding, format) {
      this.#key = native.keyGenerate('EC', this.#curve);
      return this.getPublicKey(encoding, format);
    }
    #parts() {
      return native.keyParts(this.#key, true).map((part) => Buffer.from(part));
    }
    getPublicKey(encoding, format = 'uncompressed') {
      const [x, y] = this.#parts();
      if (!['uncompressed', 'compressed', 'hybrid'].includes(format))
        throw new codes.ERR_CRYPTO_ECDH_INVALID_FORMAT(format);
      const odd = y[y.length - 1] & 1;
      if (format === 'compressed') return output(Buffer.concat([Buffer.from([2 + odd]), x]), encoding);
      return output(Buffer.concat([Buffer.from([format === 'hybrid' ? 6 + odd : 4]), x, y]), encoding);
    }
    getPrivateKey(encoding) {
      const bytes = this.#parts()[2];
      return output(bytes.subarray(bytes.findIndex((byte) => byte !== 0)), encoding);
    }
    setPrivateKey(given, encoding) {
      const key = native.keyEc(this.#curve, none, new Uint8Array(bytesOf(given, encoding)));
      if (key === undefined)
        throw codedError('ERR_CRYPTO_INVALID_KEYTYPE', 'Private key is not valid for specified curve.');
      this.#key = key;
      return this;
    }
    computeSecret(given, inputEncoding, outputEncoding) {
      const point = native.keyEc(this.#curve, new Uint8Array(bytesOf(given, inputEncoding)), undefined);
      if (point === undefined) throw new codes.ERR_CRYPTO_ECDH_INVALID_PUBLIC_KEY();
      return output(native.agree(this.#key, point), outputEncoding);
    }
  }

  return {
    KeyObject,
    ECDH,
    Sign,
    Verify,
    createSecretKey: (key, encoding) => make('secret', Uint8Array.from(bytesOf(key, encoding, 'key'))),
    createPublicKey,
    createPrivateKey,
    generateKeyPair,
    generateKeyPairSync,
    generateKey: (type, options, callback) => later(callback, () => generateKeySync(type, options)),
    generateKeySync,
    sign,
    verify,
    createSign: (algorithm, options) => new Sign(algorithm, options),
    createVerify: (algorithm, options) => new Verify(algorithm, options),
    publicEncrypt: rsa('encrypt', 'public', kOaep),
    privateDecrypt: rsa('decrypt', 'private', kOaep),
    privateEncrypt: rsa('sign', 'private', kPkcs1),
    publicDecrypt: rsa('recover', 'public', kPkcs1),
    diffieHellman,
    createECDH: (curve) => new ECDH(curve),
    /** A key object's type and native key; undefined for anything else. @param {any} key */
    keyObjectState: (key) => states.get(key),
    publicKeyObject: (key) => make('public', key),
    /** A secret key object's bytes; undefined for anything else. @param {any} key */
    secretOf: (key) => {
      const state = states.get(key);
      if (state === undefined) return undefined;
      if (state.type !== 'secret') throw wrongHalf(state.type, 'secret');
      return state.key;
    },
  };
}
