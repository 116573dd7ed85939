// SubtleCrypto and CryptoKey (Web Cryptography API), over the natives' OpenSSL. An algorithm is an entry of `algorithms`: what
// each operation needs of its parameters, and what it does.
import { StringUpper, hasOwn, isArrayBuffer, isView, parse, stringify, webidlClass } from './primordials.js';
import { DOMException } from './dom_exception.js';
import { bytesOf } from './encoding.js';
import { registerClone } from './structured_clone.js';

const { utf8Encode, utf8Decode, latin1Decode } = native;

/** @param {string} message */
const operationError = (message) => new DOMException(message, 'OperationError');
/** @param {string} message */
const dataError = (message) => new DOMException(message, 'DataError');
/** @param {string} message */
const notSupported = (message) => new DOMException(message, 'NotSupportedError');
/** @param {string} message */
const invalidAccess = (message) => new DOMException(message, 'InvalidAccessError');
/** @param {string} message */
const syntaxError = (message) => new DOMException(message, 'SyntaxError');

/** @typedef {{type: string, extractable: boolean, algorithm: any, usages: string[], data: any}} KeyState `data`: bytes of a secret, or a native key */
/** @type {(key: any) => KeyState} */
let stateOf;
/** @type {(state: KeyState) => CryptoKey} */
let makeKey;
/** @type {(value: any) => boolean} */
export let isCryptoKey;
const token = {};

export class CryptoKey {
  /** @type {KeyState} */ #state;
  /** @type {any} */ #algorithm;
  /** @type {any} */ #usages;
  /** @param {any} given @param {KeyState} state */
  constructor(given, state) {
    if (given !== token) throw new TypeError('Illegal constructor');
    this.#state = state;
  }
  static {
    stateOf = (key) => key.#state;
    isCryptoKey = (value) => typeof value === 'object' && value !== null && #state in value;
    makeKey = (state) => new CryptoKey(token, state);
    registerClone(this, { is: isCryptoKey, clone: (key) => makeKey(key.#state) });
  }
  get type() {
    return this.#state.type;
  }
  get extractable() {
    return this.#state.extractable;
  }
  // What a guest may change of these is its own copy.
  get algorithm() {
    return (this.#algorithm ??= copyOf(this.#state.algorithm));
  }
  get usages() {
    return (this.#usages ??= this.#state.usages.slice());
  }
}
webidlClass(CryptoKey, ['type', 'extractable', 'algorithm', 'usages']);

/** @param {any} algorithm */
function copyOf(algorithm) {
  /** @type {any} */
  const copy = {};
  for (const name of Reflect.ownKeys(algorithm)) {
    const value = algorithm[name];
    copy[name] = isView(value) ? /** @type {any} */ (value).slice() : typeof value === 'object' ? copyOf(value) : value;
  }
  return copy;
}

// ---- values that come in

/** @param {any} value @param {string} what */
function bufferSource(value, what) {
  if (!isView(value) && !isArrayBuffer(value)) throw new TypeError(`${what} must be an ArrayBuffer or a view of one`);
  return bytesOf(value).slice();
}
/** @param {any} params @param {string} name @param {number} most */
function integer(params, name, most) {
  const number = Math.trunc(Number(params[name]));
  if (!(number >= 0 && number <= most)) throw new TypeError(`${name} must be a whole number from 0 to ${most}`);
  return number;
}
/** @param {any} params @param {string} name */
function needed(params, name) {
  if (params[name] === undefined) throw new TypeError(`${params.name} needs ${name}`);
  return params[name];
}

const hashes = { __proto__: null, 'SHA-1': 20, 'SHA-256': 32, 'SHA-384': 48, 'SHA-512': 64 };
const blockSizes = { __proto__: null, 'SHA-1': 64, 'SHA-256': 64, 'SHA-384': 128, 'SHA-512': 128 };
/** The name of a hash. @param {any} given */
function hashOf(given) {
  const name = StringUpper(`${typeof given === 'object' && given !== null ? needed(given, 'name') : given}`);
  if (!hasOwn(hashes, name)) throw notSupported(`The hash "${name}" is not one of SHA-1, SHA-256, SHA-384 and SHA-512`);
  return name;
}
/** By curve: OpenSSL's name, and the bytes of a coordinate. @type {any} */
const curves = {
  __proto__: null,
  'P-256': { group: 'prime256v1', size: 32 },
  'P-384': { group: 'secp384r1', size: 48 },
  'P-521': { group: 'secp521r1', size: 66 },
};
/** @param {any} params */
function curveOf(params) {
  const name = `${needed(params, 'namedCurve')}`;
  if (!hasOwn(curves, name)) throw notSupported(`The curve "${name}" is not one of P-256, P-384 and P-521`);
  return name;
}

/** What a native gave; an OperationError where that is nothing. @param {any} bytes @param {string} message */
function orFail(bytes, message) {
  if (bytes === undefined) throw operationError(message);
  return bytes;
}

// ---- base64url, of JSON Web Keys

/** @param {Uint8Array} bytes */
const toBase64Url = (bytes) =>
  native.btoa(latin1Decode(bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
/** @param {any} jwk @param {string} field @returns {Uint8Array} */
function fromBase64Url(jwk, field) {
  const text = jwk[field];
  if (typeof text !== 'string' || /[^A-Za-z0-9_-]/.test(text)) throw dataError(`The key's "${field}" is no base64url`);
  const latin1 = native.atob(text.replace(/-/g, '+').replace(/_/g, '/'));
  if (latin1 === undefined) throw dataError(`The key's "${field}" is no base64url`);
  const bytes = new Uint8Array(latin1.length);
  for (let i = 0; i < latin1.length; i++) bytes[i] = latin1.charCodeAt(i);
  return bytes;
}

/** @param {any} jwk @param {any} expected kty, crv, alg @param {string[]} usages @param {boolean} extractable @param {string} use */
function checkJwk(jwk, expected, usages, extractable, use) {
  for (const field of ['kty', 'crv', 'alg']) {
    if (expected[field] === undefined || (field === 'alg' && jwk.alg === undefined)) continue;
    if (jwk[field] !== expected[field]) throw dataError(`The key's "${field}" is not "${expected[field]}"`);
  }
  if (usages.length > 0 && jwk.use !== undefined && jwk.use !== use) throw dataError(`The key's "use" is not "${use}"`);
  if (jwk.key_ops !== undefined) {
    const ops = [...jwk.key_ops].map((op) => `${op}`);
    if (new Set(ops).size !== ops.length) throw dataError('The key\'s "key_ops" has one of them twice');
    for (const usage of usages)
      if (!ops.includes(usage)) throw dataError(`The key's "key_ops" does not allow "${usage}"`);
  }
  if (jwk.ext !== undefined && jwk.ext === false && extractable)
    throw dataError('The key may not be extractable ("ext")');
}

// ---- keys

const allUsages = ['encrypt', 'decrypt', 'sign', 'verify', 'deriveKey', 'deriveBits', 'wrapKey', 'unwrapKey'];
/** @param {any} given @returns {string[]} in the standard's order, each once */
function usageList(given) {
  const list = [...given].map((usage) => `${usage}`);
  for (const usage of list) if (!allUsages.includes(usage)) throw new TypeError(`"${usage}" is no key usage`);
  return allUsages.filter((usage) => list.includes(usage));
}
/** @param {string[]} usages @param {string[]} allowed @param {string} what */
function checkUsages(usages, allowed, what) {
  for (const usage of usages) if (!allowed.includes(usage)) throw syntaxError(`${what} has no usage "${usage}"`);
}

/** @param {string} name @param {string[]} usages of secret keys @param {any} [more] */
const secretKind = (name, usages, more = {}) => ({ name, usages, ...more });

/** A secret of bytes: importing and exporting. @param {any} kind */
function secretKey(kind) {
  return {
    /** @param {string} format @param {any} data @param {any} params @param {boolean} extractable @param {string[]} usages */
    importKey(format, data, params, extractable, usages) {
      checkUsages(usages, kind.usages, kind.name);
      let bytes;
      if (format === 'raw' || format === 'raw-secret') bytes = data;
      else if (format === 'jwk' && kind.jwkAlg !== undefined) {
        if (data.kty !== 'oct') throw dataError('The key\'s "kty" is not "oct"');
        bytes = fromBase64Url(data, 'k');
      } else throw notSupported(`${kind.name} keys are not imported from "${format}"`);
      const algorithm = kind.algorithm(params, bytes);
      if (format === 'jwk') checkJwk(data, { alg: kind.jwkAlg(algorithm) }, usages, extractable, kind.use);
      if (kind.neverExtractable && extractable) throw syntaxError(`${kind.name} keys cannot be extractable`);
      return makeKey({ type: 'secret', extractable, algorithm, usages, data: bytes });
    },
    /** @param {string} format @param {KeyState} key */
    exportKey(format, key) {
      if (format === 'raw' || format === 'raw-secret') return key.data.slice();
      if (format !== 'jwk' || kind.jwkAlg === undefined)
        throw notSupported(`${kind.name} keys are not exported as "${format}"`);
      return { kty: 'oct', k: toBase64Url(key.data), alg: kind.jwkAlg(key.algorithm), ...jwkTail(key) };
    },
  };
}
/** @param {KeyState} key */
const jwkTail = (key) => ({ key_ops: key.usages.slice(), ext: key.extractable });

/** @param {string} name @param {string[]} usages @param {string} suffix of the alg of a JWK */
function aesKey(name, usages, suffix) {
  const algorithm = (/** @type {any} */ _params, /** @type {Uint8Array} */ bytes) => {
    if (![16, 24, 32].includes(bytes.length))
      throw dataError(`An AES key has 128, 192 or 256 bits, not ${bytes.length * 8}`);
    return { name, length: bytes.length * 8 };
  };
  return {
    ...secretKey(
      secretKind(name, usages, { algorithm, use: 'enc', jwkAlg: (/** @type {any} */ a) => `A${a.length}${suffix}` }),
    ),
    /** @param {any} params @param {boolean} extractable @param {string[]} allowed */
    generateKey(params, extractable, allowed) {
      const length = integer(params, 'length', 65535);
      checkUsages(allowed, usages, name);
      if (![128, 192, 256].includes(length)) throw operationError(`An AES key has 128, 192 or 256 bits, not ${length}`);
      return makeKey({
        type: 'secret',
        extractable,
        algorithm: { name, length },
        usages: allowed,
        data: random(length / 8),
      });
    },
    /** @param {any} params */
    keyLength(params) {
      const length = integer(params, 'length', 65535);
      if (![128, 192, 256].includes(length)) throw operationError(`An AES key has 128, 192 or 256 bits, not ${length}`);
      return length;
    },
  };
}
/** @param {number} size */
function random(size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) native.random(bytes.subarray(at, at + 65536));
  return bytes;
}

const none = new Uint8Array(0);
const cipherUsages = ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey'];

/** @param {boolean} encrypt */
const gcm = (encrypt) => (/** @type {any} */ params, /** @type {KeyState} */ key, /** @type {Uint8Array} */ data) => {
  const iv = bufferSource(needed(params, 'iv'), 'iv');
  const aad = params.additionalData === undefined ? none : bufferSource(params.additionalData, 'additionalData');
  const tag = params.tagLength === undefined ? 128 : integer(params, 'tagLength', 255);
  if (![32, 64, 96, 104, 112, 120, 128].includes(tag)) throw operationError(`A tag cannot have ${tag} bits`);
  if (iv.length === 0) throw operationError('AES-GCM needs an iv that is not empty');
  return orFail(
    native.aes('GCM', encrypt, key.data, iv, data, aad, tag / 8),
    encrypt ? 'AES-GCM failed' : 'The data was not encrypted with this key, iv and additionalData',
  );
};
/** @param {boolean} encrypt */
const cbc = (encrypt) => (/** @type {any} */ params, /** @type {KeyState} */ key, /** @type {Uint8Array} */ data) => {
  const iv = bufferSource(needed(params, 'iv'), 'iv');
  if (iv.length !== 16) throw operationError('AES-CBC needs an iv of 16 bytes');
  return orFail(
    native.aes('CBC', encrypt, key.data, iv, data, none, 0),
    'The data cannot be decrypted with this key and iv',
  );
};
const ctr = (/** @type {any} */ params, /** @type {KeyState} */ key, /** @type {Uint8Array} */ data) => {
  const counter = bufferSource(needed(params, 'counter'), 'counter');
  const length = integer(params, 'length', 255);
  if (counter.length !== 16) throw operationError('AES-CTR needs a counter of 16 bytes');
  if (length === 0 || length > 128) throw operationError('The counter of AES-CTR has 1 to 128 bits');
  return orFail(native.aesCtr(key.data, counter, length, data), 'The counter of AES-CTR would repeat');
};
/** @param {boolean} wrap */
const keyWrap = (wrap) => (/** @type {any} */ _params, /** @type {KeyState} */ key, /** @type {Uint8Array} */ data) => {
  if (data.length % 8 !== 0) throw operationError('AES-KW wraps multiples of 8 bytes');
  return orFail(native.aes('WRAP', wrap, key.data, none, data, none, 0), 'The key cannot be unwrapped with this one');
};

// ---- RSA

/**
 * Whether what is imported is the private half of a pair; checks the usages of that half.
 * @param {string} name @param {string} format @param {any} data @param {string[]} usages @param {string[]} publicUsages @param {string[]} privateUsages
 */
function checkHalf(name, format, data, usages, publicUsages, privateUsages) {
  const isPrivate = format === 'pkcs8' || (format === 'jwk' && data.d !== undefined);
  checkUsages(usages, isPrivate ? privateUsages : publicUsages, `A ${isPrivate ? 'private' : 'public'} ${name} key`);
  return isPrivate;
}

/** @param {string} name @param {string[]} publicUsages @param {string[]} privateUsages @param {(hash: string) => string} alg of a JWK */
function rsaKey(name, publicUsages, privateUsages, alg) {
  const use = publicUsages.includes('verify') ? 'sig' : 'enc';
  const algorithmOf = (/** @type {any} */ key, /** @type {string} */ hash) => {
    const [n, e] = native.keyParts(key, false);
    return { name, modulusLength: native.keyInfo(key)[1], publicExponent: e.length ? e : n, hash: { name: hash } };
  };
  return {
    /** @param {any} params @param {boolean} extractable @param {string[]} usages */
    generateKey(params, extractable, usages) {
      const modulusLength = integer(params, 'modulusLength', 0xffffffff);
      const given = needed(params, 'publicExponent');
      if (!(given instanceof Uint8Array)) throw new TypeError('publicExponent must be a Uint8Array');
      const publicExponent = given.slice();
      const hash = hashOf(needed(params, 'hash'));
      checkUsages(usages, [...publicUsages, ...privateUsages], name);
      let exponent = 0;
      for (const byte of publicExponent) exponent = exponent * 256 + byte;
      if (modulusLength < 512 || modulusLength > 16384 || (exponent !== 3 && exponent !== 65537))
        throw operationError('RSA keys have 512 to 16384 bits and the public exponent 3 or 65537');
      const data = orFail(native.keyGenerate('RSA', modulusLength, exponent), 'The key cannot be generated');
      const algorithm = { name, modulusLength, publicExponent, hash: { name: hash } };
      return pair(algorithm, data, extractable, usages, publicUsages, privateUsages);
    },
    /** @param {string} format @param {any} data @param {any} params @param {boolean} extractable @param {string[]} usages */
    importKey(format, data, params, extractable, usages) {
      const hash = hashOf(needed(params, 'hash'));
      const isPrivate = checkHalf(name, format, data, usages, publicUsages, privateUsages);
      let key;
      if (format === 'spki' || format === 'pkcs8') key = native.keyImport(format, data);
      else if (format === 'jwk') {
        checkJwk(data, { kty: 'RSA', alg: alg(hash) }, usages, extractable, use);
        if (data.oth !== undefined) throw notSupported('RSA keys with more than two primes are not supported');
        const fields = isPrivate ? ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] : ['n', 'e'];
        key = native.keyRsa(fields.map((field) => fromBase64Url(data, field)));
      } else throw notSupported(`${name} keys are not imported from "${format}"`);
      if (key === undefined || native.keyInfo(key)[0] !== 'RSA') throw dataError('The data is no RSA key');
      return makeKey({
        type: isPrivate ? 'private' : 'public',
        extractable,
        algorithm: algorithmOf(key, hash),
        usages,
        data: key,
      });
    },
    /** @param {string} format @param {KeyState} key */
    exportKey(format, key) {
      const isPrivate = key.type === 'private';
      if (format === 'jwk') {
        const [n, e, d, p, q, dp, dq, qi] = native.keyParts(key.data, isPrivate).map(toBase64Url);
        const rest = isPrivate ? { d, p, q, dp, dq, qi } : {};
        return { kty: 'RSA', alg: alg(key.algorithm.hash.name), n, e, ...rest, ...jwkTail(key) };
      }
      return exportDer(format, key, name);
    },
  };
}

/** @param {string} format @param {KeyState} key @param {string} name */
function exportDer(format, key, name) {
  if (format !== 'spki' && format !== 'pkcs8') throw notSupported(`${name} keys are not exported as "${format}"`);
  if ((format === 'pkcs8') !== (key.type === 'private'))
    throw invalidAccess(`A ${key.type} key is not exported as "${format}"`);
  return orFail(native.keyExport(key.data, format), 'The key cannot be exported');
}

/** @param {any} algorithm @param {any} data @param {boolean} extractable @param {string[]} usages @param {string[]} publicUsages @param {string[]} privateUsages */
function pair(algorithm, data, extractable, usages, publicUsages, privateUsages) {
  const forPrivate = usages.filter((usage) => privateUsages.includes(usage));
  if (forPrivate.length === 0) throw syntaxError('The private key would have no usage');
  const forPublic = usages.filter((usage) => publicUsages.includes(usage));
  return {
    privateKey: makeKey({ type: 'private', extractable, algorithm, usages: forPrivate, data }),
    publicKey: makeKey({ type: 'public', extractable: true, algorithm, usages: forPublic, data }),
  };
}

/** @param {boolean} encrypt */
const oaep = (encrypt) => (/** @type {any} */ params, /** @type {KeyState} */ key, /** @type {Uint8Array} */ data) => {
  const label = params.label === undefined ? none : bufferSource(params.label, 'label');
  return orFail(
    native.rsaOaep(key.data, encrypt ? 'encrypt' : 'decrypt', key.algorithm.hash.name, label, data),
    encrypt ? 'The data is too long for this key' : 'The data was not encrypted for this key and label',
  );
};

// ---- elliptic curves

/** @param {string} name @param {string[]} publicUsages @param {string[]} privateUsages */
function ecKey(name, publicUsages, privateUsages) {
  const use = publicUsages.includes('verify') ? 'sig' : 'enc';
  return {
    /** @param {any} params @param {boolean} extractable @param {string[]} usages */
    generateKey(params, extractable, usages) {
      const namedCurve = curveOf(params);
      checkUsages(usages, [...publicUsages, ...privateUsages], name);
      const data = orFail(native.keyGenerate('EC', curves[namedCurve].group), 'The key cannot be generated');
      return pair({ name, namedCurve }, data, extractable, usages, publicUsages, privateUsages);
    },
    /** @param {string} format @param {any} data @param {any} params @param {boolean} extractable @param {string[]} usages */
    importKey(format, data, params, extractable, usages) {
      const namedCurve = curveOf(params);
      const { group, size } = curves[namedCurve];
      const isPrivate = checkHalf(name, format, data, usages, publicUsages, privateUsages);
      let key;
      if (format === 'spki' || format === 'pkcs8') key = native.keyImport(format, data);
      else if (format === 'raw' || format === 'raw-public') key = native.keyEc(group, data, undefined);
      else if (format === 'jwk') {
        const algs = { __proto__: null, 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' };
        const alg = name === 'ECDSA' ? { alg: /** @type {any} */ (algs)[namedCurve] } : {};
        checkJwk(data, { kty: 'EC', crv: namedCurve, ...alg }, usages, extractable, use);
        const point = new Uint8Array(1 + 2 * size);
        const fields = ['x', 'y', ...(isPrivate ? ['d'] : [])].map((field) => fromBase64Url(data, field));
        for (const part of fields)
          if (part.length !== size) throw dataError(`A coordinate of ${namedCurve} has ${size} bytes`);
        point[0] = 4;
        point.set(fields[0], 1);
        point.set(fields[1], 1 + size);
        key = native.keyEc(group, point, fields[2]);
      } else throw notSupported(`${name} keys are not imported from "${format}"`);
      const info = key === undefined ? [] : native.keyInfo(key);
      if (info[0] !== 'EC' || info[2] !== group) throw dataError(`The data is no key of ${namedCurve}`);
      return makeKey({
        type: isPrivate ? 'private' : 'public',
        extractable,
        algorithm: { name, namedCurve },
        usages,
        data: key,
      });
    },
    /** @param {string} format @param {KeyState} key */
    exportKey(format, key) {
      const isPrivate = key.type === 'private';
      if (format === 'jwk') {
        const [x, y, d] = native.keyParts(key.data, isPrivate).map(toBase64Url);
        return { kty: 'EC', crv: key.algorithm.namedCurve, x, y, ...(isPrivate ? { d } : {}), ...jwkTail(key) };
      }
      if (format === 'raw' || format === 'raw-public') {
        if (isPrivate) throw invalidAccess('A private key is not exported as "raw"');
        const [x, y] = native.keyParts(key.data, false);
        const point = new Uint8Array(1 + x.length + y.length);
        point[0] = 4;
        point.set(x, 1);
        point.set(y, 1 + x.length);
        return point;
      }
      return exportDer(format, key, name);
    },
  };
}

/** Ed25519 and X25519. @param {string} name @param {string[]} publicUsages @param {string[]} privateUsages */
function okpKey(name, publicUsages, privateUsages) {
  const kind = StringUpper(name);
  const use = publicUsages.includes('verify') ? 'sig' : 'enc';
  return {
    /** @param {any} _params @param {boolean} extractable @param {string[]} usages */
    generateKey(_params, extractable, usages) {
      checkUsages(usages, [...publicUsages, ...privateUsages], name);
      const data = orFail(native.keyGenerate(kind), 'The key cannot be generated');
      return pair({ name }, data, extractable, usages, publicUsages, privateUsages);
    },
    /** @param {string} format @param {any} data @param {any} _params @param {boolean} extractable @param {string[]} usages */
    importKey(format, data, _params, extractable, usages) {
      const isPrivate = checkHalf(name, format, data, usages, publicUsages, privateUsages);
      let key;
      if (format === 'spki' || format === 'pkcs8') key = native.keyImport(format, data);
      else if (format === 'raw' || format === 'raw-public') key = native.keyRaw(kind, false, data);
      else if (format === 'jwk') {
        checkJwk(data, { kty: 'OKP', crv: name }, usages, extractable, use);
        if (name === 'Ed25519' && data.alg !== undefined && data.alg !== 'Ed25519' && data.alg !== 'EdDSA')
          throw dataError('The key\'s "alg" is not "Ed25519"');
        const x = fromBase64Url(data, 'x');
        key = native.keyRaw(kind, isPrivate, isPrivate ? fromBase64Url(data, 'd') : x);
        if (key !== undefined && toBase64Url(native.keyParts(key, false)[0]) !== toBase64Url(x))
          throw dataError('The private part is not that of the public one');
      } else throw notSupported(`${name} keys are not imported from "${format}"`);
      if (key === undefined || native.keyInfo(key)[0] !== kind) throw dataError(`The data is no ${name} key`);
      return makeKey({ type: isPrivate ? 'private' : 'public', extractable, algorithm: { name }, usages, data: key });
    },
    /** @param {string} format @param {KeyState} key */
    exportKey(format, key) {
      const isPrivate = key.type === 'private';
      if (format === 'jwk') {
        const [x, d] = native.keyParts(key.data, isPrivate).map(toBase64Url);
        const alg = name === 'Ed25519' ? { alg: 'Ed25519' } : {};
        return { kty: 'OKP', crv: name, ...alg, x, ...(isPrivate ? { d } : {}), ...jwkTail(key) };
      }
      if (format === 'raw' || format === 'raw-public') {
        if (isPrivate) throw invalidAccess('A private key is not exported as "raw"');
        return native.keyParts(key.data, false)[0];
      }
      return exportDer(format, key, name);
    },
  };
}

/** @param {any} params @param {KeyState} key @param {number | null} length bits */
function agree(params, key, length) {
  const other = needed(params, 'public');
  if (!isCryptoKey(other)) throw new TypeError('public must be a CryptoKey');
  const peer = stateOf(other);
  if (key.type !== 'private' || peer.type !== 'public')
    throw invalidAccess('A private key and a public one are needed');
  if (peer.algorithm.name !== key.algorithm.name || peer.algorithm.namedCurve !== key.algorithm.namedCurve)
    throw invalidAccess('Both keys must be of the same algorithm and curve');
  return truncated(orFail(native.agree(key.data, peer.data), 'The keys agree on nothing'), length);
}
/** @param {Uint8Array} bytes @param {number | null} length bits */
function truncated(bytes, length) {
  if (length === null) return bytes;
  if (length > bytes.length * 8) throw operationError(`${length} bits are more than there are`);
  const cut = bytes.slice(0, Math.ceil(length / 8));
  if (length % 8 !== 0) cut[cut.length - 1] &= 0xff00 >> (length % 8);
  return cut;
}

// ---- derivation from secrets

/** @param {string} name */
const derivationKey = (name) =>
  secretKey(secretKind(name, ['deriveKey', 'deriveBits'], { algorithm: () => ({ name }), neverExtractable: true }));
/** @param {number | null} length @param {string} name */
function wholeBytes(length, name) {
  if (length === null || length % 8 !== 0)
    throw operationError(`${name} derives a number of bits that is a multiple of 8`);
  return length / 8;
}

// ---- the table

const signing = [['verify'], ['sign']];
/** @type {any} */
const algorithms = { __proto__: null };
for (const hash of Object.keys(hashes))
  algorithms[hash] = {
    digest: (/** @type {any} */ _params, /** @type {Uint8Array} */ data) => native.digest(hash, data),
  };
algorithms['AES-GCM'] = { ...aesKey('AES-GCM', cipherUsages, 'GCM'), encrypt: gcm(true), decrypt: gcm(false) };
algorithms['AES-CBC'] = { ...aesKey('AES-CBC', cipherUsages, 'CBC'), encrypt: cbc(true), decrypt: cbc(false) };
algorithms['AES-CTR'] = { ...aesKey('AES-CTR', cipherUsages, 'CTR'), encrypt: ctr, decrypt: ctr };
algorithms['AES-KW'] = {
  ...aesKey('AES-KW', ['wrapKey', 'unwrapKey'], 'KW'),
  wrapKey: keyWrap(true),
  unwrapKey: keyWrap(false),
};
algorithms.HMAC = {
  ...secretKey(
    secretKind('HMAC', ['sign', 'verify'], {
      use: 'sig',
      jwkAlg: (/** @type {any} */ algorithm) => `HS${algorithm.hash.name.slice(4)}`,
      algorithm(/** @type {any} */ params, /** @type {Uint8Array} */ bytes) {
        const hash = hashOf(needed(params, 'hash'));
        if (bytes.length === 0) throw dataError('An HMAC key cannot be empty');
        const length = params.length === undefined ? bytes.length * 8 : integer(params, 'length', 0xffffffff);
        if (length > bytes.length * 8 || length <= bytes.length * 8 - 8)
          throw dataError('length is not that of the key');
        return { name: 'HMAC', length, hash: { name: hash } };
      },
    }),
  ),
  /** @param {any} params @param {boolean} extractable @param {string[]} usages */
  generateKey(params, extractable, usages) {
    const length = this.keyLength(params);
    checkUsages(usages, ['sign', 'verify'], 'HMAC');
    if (length === 0) throw operationError('An HMAC key cannot be empty');
    const algorithm = { name: 'HMAC', length, hash: { name: hashOf(params.hash) } };
    return makeKey({ type: 'secret', extractable, algorithm, usages, data: random(Math.ceil(length / 8)) });
  },
  /** @param {any} params */
  keyLength(params) {
    const hash = hashOf(needed(params, 'hash'));
    if (params.length === undefined) return /** @type {any} */ (blockSizes)[hash] * 8;
    const length = integer(params, 'length', 0xffffffff);
    if (length === 0) throw new TypeError('An HMAC key cannot be empty');
    return length;
  },
  sign: (/** @type {any} */ _params, /** @type {KeyState} */ key, /** @type {Uint8Array} */ data) =>
    native.hmac(key.algorithm.hash.name, key.data, data),
  verify: (
    /** @type {any} */ _params,
    /** @type {KeyState} */ key,
    /** @type {Uint8Array} */ signature,
    /** @type {Uint8Array} */ data,
  ) => native.equal(native.hmac(key.algorithm.hash.name, key.data, data), signature),
};
algorithms['RSASSA-PKCS1-V1_5'] = {
  ...rsaKey('RSASSA-PKCS1-v1_5', signing[0], signing[1], (hash) => `RS${hash === 'SHA-1' ? '1' : hash.slice(4)}`),
  sign: (/** @type {any} */ _params, /** @type {KeyState} */ key, /** @type {Uint8Array} */ data) =>
    orFail(native.sign(key.data, key.algorithm.hash.name, data, 'PKCS1'), 'The key is too small for its hash'),
  verify: (
    /** @type {any} */ _params,
    /** @type {KeyState} */ key,
    /** @type {Uint8Array} */ signature,
    /** @type {Uint8Array} */ data,
  ) => native.verify(key.data, key.algorithm.hash.name, data, 'PKCS1', 0, false, signature),
};
algorithms['RSA-PSS'] = {
  ...rsaKey('RSA-PSS', signing[0], signing[1], (hash) => `PS${hash === 'SHA-1' ? '1' : hash.slice(4)}`),
  sign: (/** @type {any} */ params, /** @type {KeyState} */ key, /** @type {Uint8Array} */ data) =>
    orFail(
      native.sign(
        key.data,
        key.algorithm.hash.name,
        data,
        'PSS',
        integer({ saltLength: needed(params, 'saltLength') }, 'saltLength', 0x7fffffff),
      ),
      'The key is too small for its hash and this salt',
    ),
  verify: (
    /** @type {any} */ params,
    /** @type {KeyState} */ key,
    /** @type {Uint8Array} */ signature,
    /** @type {Uint8Array} */ data,
  ) =>
    native.verify(
      key.data,
      key.algorithm.hash.name,
      data,
      'PSS',
      integer({ saltLength: needed(params, 'saltLength') }, 'saltLength', 0x7fffffff),
      false,
      signature,
    ),
};
algorithms['RSA-OAEP'] = {
  ...rsaKey('RSA-OAEP', ['encrypt', 'wrapKey'], ['decrypt', 'unwrapKey'], (hash) =>
    hash === 'SHA-1' ? 'RSA-OAEP' : `RSA-OAEP-${hash.slice(4)}`,
  ),
  encrypt: oaep(true),
  decrypt: oaep(false),
};
algorithms.ECDSA = {
  ...ecKey('ECDSA', signing[0], signing[1]),
  sign: (/** @type {any} */ params, /** @type {KeyState} */ key, /** @type {Uint8Array} */ data) =>
    orFail(native.sign(key.data, hashOf(needed(params, 'hash')), data), 'The data cannot be signed'),
  verify: (
    /** @type {any} */ params,
    /** @type {KeyState} */ key,
    /** @type {Uint8Array} */ signature,
    /** @type {Uint8Array} */ data,
  ) => native.verify(key.data, hashOf(needed(params, 'hash')), data, undefined, 0, false, signature),
};
algorithms.ECDH = { ...ecKey('ECDH', [], ['deriveKey', 'deriveBits']), deriveBits: agree };
algorithms.ED25519 = {
  ...okpKey('Ed25519', signing[0], signing[1]),
  sign: (/** @type {any} */ _params, /** @type {KeyState} */ key, /** @type {Uint8Array} */ data) =>
    orFail(native.sign(key.data, undefined, data), 'The data cannot be signed'),
  verify: (
    /** @type {any} */ _params,
    /** @type {KeyState} */ key,
    /** @type {Uint8Array} */ signature,
    /** @type {Uint8Array} */ data,
  ) => native.verify(key.data, undefined, data, undefined, 0, false, signature),
};
algorithms.X25519 = { ...okpKey('X25519', [], ['deriveKey', 'deriveBits']), deriveBits: agree };
algorithms.HKDF = {
  ...derivationKey('HKDF'),
  /** @param {any} params @param {KeyState} key @param {number | null} length */
  deriveBits(params, key, length) {
    const hash = hashOf(needed(params, 'hash'));
    const salt = bufferSource(needed(params, 'salt'), 'salt');
    const info = bufferSource(needed(params, 'info'), 'info');
    const size = wholeBytes(length, 'HKDF');
    if (size === 0) return new Uint8Array(0);
    return orFail(native.hkdf(hash, key.data, salt, info, size), `HKDF with ${hash} does not give ${size} bytes`);
  },
  keyLength: () => null,
};
algorithms.PBKDF2 = {
  ...derivationKey('PBKDF2'),
  /** @param {any} params @param {KeyState} key @param {number | null} length */
  deriveBits(params, key, length) {
    const hash = hashOf(needed(params, 'hash'));
    const salt = bufferSource(needed(params, 'salt'), 'salt');
    const iterations = integer({ iterations: needed(params, 'iterations') }, 'iterations', 0xffffffff);
    if (iterations === 0) throw operationError('PBKDF2 needs at least one iteration');
    const size = wholeBytes(length, 'PBKDF2');
    if (size === 0) return new Uint8Array(0);
    return orFail(native.pbkdf2(hash, key.data, salt, iterations, size), 'PBKDF2 failed');
  },
  keyLength: () => null,
};

/** The entry and the parameters, with the algorithm's own name. @param {any} given @param {string} operation */
function normalize(given, operation) {
  const params = typeof given === 'object' && given !== null ? given : { name: `${given}` };
  if (params.name === undefined) throw new TypeError('An algorithm needs a name');
  const upper = StringUpper(`${params.name}`);
  const entry = hasOwn(algorithms, upper) ? algorithms[upper] : undefined;
  if (entry?.[operation] === undefined) throw notSupported(`The algorithm "${params.name}" has no ${operation}`);
  return { entry, params, upper };
}

/** @param {any} key @param {string} usage @param {string} upper name of the algorithm that is asked for */
function keyFor(key, usage, upper) {
  if (!isCryptoKey(key)) throw new TypeError('The key must be a CryptoKey');
  const state = stateOf(key);
  if (StringUpper(state.algorithm.name) !== upper)
    throw invalidAccess(`The key is one of ${state.algorithm.name}, not ${upper}`);
  if (!state.usages.includes(usage)) throw invalidAccess(`The key may not be used to ${usage}`);
  return state;
}

/** @param {Uint8Array} bytes */
const toBuffer = (bytes) => (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer);

/** @param {any} key @param {string[]} usages of a secret or private key, which must have one */
function usable(key, usages) {
  const made = isCryptoKey(key) ? key : key.privateKey;
  if (usages.length === 0 && stateOf(made).type !== 'public') throw syntaxError('The key would have no usage');
  return key;
}

const formats = ['raw', 'raw-secret', 'raw-public', 'spki', 'pkcs8', 'jwk'];
/** @param {any} given */
function formatOf(given) {
  const format = `${given}`;
  if (!formats.includes(format)) throw new TypeError(`"${format}" is no key format`);
  return format;
}
/** @param {string} format @param {any} data */
function keyData(format, data) {
  if (format !== 'jwk') {
    if (isView(data) || isArrayBuffer(data)) return bytesOf(data).slice();
    throw new TypeError(`A key in the format "${format}" is an ArrayBuffer or a view of one`);
  }
  if (typeof data !== 'object' || data === null || isView(data) || isArrayBuffer(data))
    throw new TypeError('A key in the format "jwk" is an object');
  return data;
}

export class SubtleCrypto {
  /** @param {any} given */
  constructor(given) {
    if (given !== token) throw new TypeError('Illegal constructor');
  }
  /** @param {any} algorithm @param {any} data */
  async digest(algorithm, data) {
    const { entry, params } = normalize(algorithm, 'digest');
    return toBuffer(entry.digest(params, bufferSource(data, 'data')));
  }
  /** @param {any} algorithm @param {any} key @param {any} data */
  async encrypt(algorithm, key, data) {
    const { entry, params, upper } = normalize(algorithm, 'encrypt');
    const bytes = bufferSource(data, 'data');
    return toBuffer(entry.encrypt(params, keyFor(key, 'encrypt', upper), bytes));
  }
  /** @param {any} algorithm @param {any} key @param {any} data */
  async decrypt(algorithm, key, data) {
    const { entry, params, upper } = normalize(algorithm, 'decrypt');
    const bytes = bufferSource(data, 'data');
    return toBuffer(entry.decrypt(params, keyFor(key, 'decrypt', upper), bytes));
  }
  /** @param {any} algorithm @param {any} key @param {any} data */
  async sign(algorithm, key, data) {
    const { entry, params, upper } = normalize(algorithm, 'sign');
    const bytes = bufferSource(data, 'data');
    return toBuffer(entry.sign(params, keyFor(key, 'sign', upper), bytes));
  }
  /** @param {any} algorithm @param {any} key @param {any} signature @param {any} data */
  async verify(algorithm, key, signature, data) {
    const { entry, params, upper } = normalize(algorithm, 'verify');
    const given = bufferSource(signature, 'signature');
    const bytes = bufferSource(data, 'data');
    return entry.verify(params, keyFor(key, 'verify', upper), given, bytes);
  }
  /** @param {any} algorithm @param {any} extractable @param {any} keyUsages */
  async generateKey(algorithm, extractable, keyUsages) {
    const { entry, params } = normalize(algorithm, 'generateKey');
    const usages = usageList(keyUsages);
    return usable(entry.generateKey(params, Boolean(extractable), usages), usages);
  }
  /** @param {any} format @param {any} data @param {any} algorithm @param {any} extractable @param {any} keyUsages */
  async importKey(format, data, algorithm, extractable, keyUsages) {
    return importKey(format, data, algorithm, extractable, keyUsages);
  }
  /** @param {any} format @param {any} key */
  async exportKey(format, key) {
    return exported(formatOf(format), key);
  }
  /** @param {any} algorithm @param {any} baseKey @param {any} length */
  async deriveBits(algorithm, baseKey, length = null) {
    const { entry, params, upper } = normalize(algorithm, 'deriveBits');
    const key = keyFor(baseKey, 'deriveBits', upper);
    return toBuffer(entry.deriveBits(params, key, length === null ? null : integer({ length }, 'length', 0xffffffff)));
  }
  /** @param {any} algorithm @param {any} baseKey @param {any} derived @param {any} extractable @param {any} keyUsages */
  async deriveKey(algorithm, baseKey, derived, extractable, keyUsages) {
    const { entry, params, upper } = normalize(algorithm, 'deriveBits');
    const target = normalize(derived, 'importKey');
    if (target.entry.keyLength === undefined) throw notSupported(`No "${target.params.name}" key can be derived`);
    const usages = usageList(keyUsages);
    const bits = entry.deriveBits(params, keyFor(baseKey, 'deriveKey', upper), target.entry.keyLength(target.params));
    return usable(target.entry.importKey('raw', bits, target.params, Boolean(extractable), usages), usages);
  }
  /** @param {any} format @param {any} key @param {any} wrappingKey @param {any} algorithm */
  async wrapKey(format, key, wrappingKey, algorithm) {
    const kind = formatOf(format);
    const upper = StringUpper(`${typeof algorithm === 'object' && algorithm !== null ? algorithm.name : algorithm}`);
    const operation = algorithms[upper]?.wrapKey === undefined ? 'encrypt' : 'wrapKey';
    const { entry, params } = normalize(algorithm, operation);
    const wrapper = keyFor(wrappingKey, 'wrapKey', upper);
    const data = exported(kind, key);
    let bytes = kind === 'jwk' ? utf8Encode(stringify(data)) : new Uint8Array(data);
    // AES-KW wraps multiples of 8 bytes; JSON may have spaces at its end.
    if (kind === 'jwk' && operation === 'wrapKey')
      while (bytes.length % 8 !== 0) bytes = utf8Encode(`${utf8Decode(bytes, false)} `);
    return toBuffer(entry[operation](params, wrapper, bytes));
  }
  /** @param {any} format @param {any} wrapped @param {any} unwrappingKey @param {any} algorithm @param {any} keyAlgorithm @param {any} extractable @param {any} keyUsages */
  async unwrapKey(format, wrapped, unwrappingKey, algorithm, keyAlgorithm, extractable, keyUsages) {
    const kind = formatOf(format);
    const bytes = bufferSource(wrapped, 'wrappedKey');
    const upper = StringUpper(`${typeof algorithm === 'object' && algorithm !== null ? algorithm.name : algorithm}`);
    const operation = algorithms[upper]?.unwrapKey === undefined ? 'decrypt' : 'unwrapKey';
    const { entry, params } = normalize(algorithm, operation);
    const target = normalize(keyAlgorithm, 'importKey');
    const usages = usageList(keyUsages);
    const data = entry[operation](params, keyFor(unwrappingKey, 'unwrapKey', upper), bytes);
    let key = data;
    if (kind === 'jwk') {
      try {
        key = parse(utf8Decode(data, false));
      } catch {
        throw dataError('What was unwrapped is no JSON Web Key');
      }
      if (typeof key !== 'object' || key === null) throw dataError('What was unwrapped is no JSON Web Key');
    }
    return usable(target.entry.importKey(kind, key, target.params, Boolean(extractable), usages), usages);
  }
}
webidlClass(SubtleCrypto, [
  'digest',
  'encrypt',
  'decrypt',
  'sign',
  'verify',
  'generateKey',
  'importKey',
  'exportKey',
  'deriveBits',
  'deriveKey',
  'wrapKey',
  'unwrapKey',
]);

/** @param {any} format @param {any} data @param {any} algorithm @param {any} extractable @param {any} keyUsages */
function importKey(format, data, algorithm, extractable, keyUsages) {
  const kind = formatOf(format);
  const { entry, params } = normalize(algorithm, 'importKey');
  const usages = usageList(keyUsages);
  return usable(entry.importKey(kind, keyData(kind, data), params, Boolean(extractable), usages), usages);
}

/** @param {string} format @param {any} key */
function exported(format, key) {
  if (!isCryptoKey(key)) throw new TypeError('The key must be a CryptoKey');
  const state = stateOf(key);
  const entry = algorithms[StringUpper(state.algorithm.name)];
  if (!state.extractable) throw invalidAccess('The key is not extractable');
  const data = entry.exportKey(format, state);
  return format === 'jwk' ? data : toBuffer(data);
}

export const subtle = new SubtleCrypto(token);
/** For node:crypto. */
export { importKey, makeKey, stateOf };
