// SubtleCrypto (Web Cryptography API): each operation takes its parameters, finds its algorithm (algorithms.js), and checks its key.
import { StringUpper, hasOwn, isArrayBuffer, isBufferSource, isView, parse, stringify, webidlClass } from '../../core/primordials.js';
import { bytesOf } from '../encoding.js';
import { algorithms } from './algorithms.js';
import {
  CryptoKey,
  dataError,
  invalidAccess,
  isCryptoKey,
  notSupported,
  stateOf,
  syntaxError,
  token,
} from './key.js';
import { bufferSource, integer, usageList } from './values.js';

const { utf8Encode, utf8Decode } = native;

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
    if (isBufferSource(data)) return bytesOf(data).slice();
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
export { importKey };
