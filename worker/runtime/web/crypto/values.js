// What comes into SubtleCrypto: parameters, JSON Web Keys, usages; checked, with the error that the standard wants.
import { StringUpper, hasOwn, isBufferSource } from '../../core/primordials.js';
import { bytesOf } from '../encoding.js';
import { dataError, notSupported, operationError, syntaxError } from './key.js';

const { latin1Decode } = native;

// ---- values that come in

/** @param {any} value @param {string} what */
export function bufferSource(value, what) {
  if (!isBufferSource(value)) throw new TypeError(`${what} must be an ArrayBuffer or a view of one`);
  return bytesOf(value).slice();
}
/** @param {any} params @param {string} name @param {number} most */
export function integer(params, name, most) {
  const number = Math.trunc(Number(params[name]));
  if (!(number >= 0 && number <= most)) throw new TypeError(`${name} must be a whole number from 0 to ${most}`);
  return number;
}
/** @param {any} params @param {string} name */
export function needed(params, name) {
  if (params[name] === undefined) throw new TypeError(`${params.name} needs ${name}`);
  return params[name];
}

export const hashes = { __proto__: null, 'SHA-1': 20, 'SHA-256': 32, 'SHA-384': 48, 'SHA-512': 64 };
export const blockSizes = { __proto__: null, 'SHA-1': 64, 'SHA-256': 64, 'SHA-384': 128, 'SHA-512': 128 };
/** The name of a hash. @param {any} given */
export function hashOf(given) {
  const name = StringUpper(`${typeof given === 'object' && given !== null ? needed(given, 'name') : given}`);
  if (!hasOwn(hashes, name)) throw notSupported(`The hash "${name}" is not one of SHA-1, SHA-256, SHA-384 and SHA-512`);
  return name;
}
/** By curve: OpenSSL's name, and the bytes of a coordinate. @type {any} */
export const curves = {
  __proto__: null,
  'P-256': { group: 'prime256v1', size: 32 },
  'P-384': { group: 'secp384r1', size: 48 },
  'P-521': { group: 'secp521r1', size: 66 },
};
/** @param {any} params */
export function curveOf(params) {
  const name = `${needed(params, 'namedCurve')}`;
  if (!hasOwn(curves, name)) throw notSupported(`The curve "${name}" is not one of P-256, P-384 and P-521`);
  return name;
}

/** What a native gave; an OperationError where that is nothing. @param {any} bytes @param {string} message */
export function orFail(bytes, message) {
  if (bytes === undefined) throw operationError(message);
  return bytes;
}

// ---- base64url, of JSON Web Keys

/** @param {Uint8Array} bytes */
export const toBase64Url = (bytes) =>
  native.btoa(latin1Decode(bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=/g, '');
/** @param {any} jwk @param {string} field @returns {Uint8Array} */
export function fromBase64Url(jwk, field) {
  const text = jwk[field];
  if (typeof text !== 'string' || /[^A-Za-z0-9_-]/.test(text)) throw dataError(`The key's "${field}" is no base64url`);
  const latin1 = native.atob(text.replace(/-/g, '+').replace(/_/g, '/'));
  if (latin1 === undefined) throw dataError(`The key's "${field}" is no base64url`);
  const bytes = new Uint8Array(latin1.length);
  for (let i = 0; i < latin1.length; i++) bytes[i] = latin1.charCodeAt(i);
  return bytes;
}

/** @param {any} jwk @param {any} expected kty, crv, alg @param {string[]} usages @param {boolean} extractable @param {string} use */
export function checkJwk(jwk, expected, usages, extractable, use) {
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
export function usageList(given) {
  const list = [...given].map((usage) => `${usage}`);
  for (const usage of list) if (!allUsages.includes(usage)) throw new TypeError(`"${usage}" is no key usage`);
  return allUsages.filter((usage) => list.includes(usage));
}
/** @param {string[]} usages @param {string[]} allowed @param {string} what */
export function checkUsages(usages, allowed, what) {
  for (const usage of usages) if (!allowed.includes(usage)) throw syntaxError(`${what} has no usage "${usage}"`);
}
