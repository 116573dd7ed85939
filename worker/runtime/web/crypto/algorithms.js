// The algorithms of SubtleCrypto, over the natives' OpenSSL. Each is an entry of `algorithms`: what an operation needs of its
// parameters, and what it does.
import { StringUpper } from '../../core/primordials.js';
import {
  CryptoKey,
  dataError,
  invalidAccess,
  isCryptoKey,
  makeKey,
  notSupported,
  operationError,
  stateOf,
  syntaxError,
} from './key.js';
import {
  blockSizes,
  bufferSource,
  checkJwk,
  checkUsages,
  curveOf,
  curves,
  fromBase64Url,
  hashOf,
  hashes,
  integer,
  needed,
  orFail,
  toBase64Url,
} from './values.js';

/** @typedef {import('./key.js').KeyState} KeyState */

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
export const algorithms = { __proto__: null };
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
/** @param {any} params */
const saltLength = (params) => integer({ saltLength: needed(params, 'saltLength') }, 'saltLength', 0x7fffffff);
algorithms['RSA-PSS'] = {
  ...rsaKey('RSA-PSS', signing[0], signing[1], (hash) => `PS${hash === 'SHA-1' ? '1' : hash.slice(4)}`),
  sign: (/** @type {any} */ params, /** @type {KeyState} */ key, /** @type {Uint8Array} */ data) =>
    orFail(
      native.sign(key.data, key.algorithm.hash.name, data, 'PSS', saltLength(params)),
      'The key is too small for its hash and this salt',
    ),
  verify: (
    /** @type {any} */ params,
    /** @type {KeyState} */ key,
    /** @type {Uint8Array} */ signature,
    /** @type {Uint8Array} */ data,
  ) => native.verify(key.data, key.algorithm.hash.name, data, 'PSS', saltLength(params), false, signature),
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
