// Web Crypto (crypto.subtle is in subtle.js), and Math.random over the same source: a fork must not repeat its parent.
import { isBufferSource, isView, webidlClass } from '../../core/primordials.js';
import { randomUUID as uuid } from '../../core/random.js';
import { DOMException } from '../../core/dom_exception.js';
import { subtle } from './subtle.js';

const { random } = native;
const kinds = new Set([
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'BigInt64Array',
  'BigUint64Array',
]);
const kindOf = /** @type {any} */ (
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)
).get;

const token = {};

export class Crypto {
  /** @param {any} given */
  constructor(given) {
    if (given !== token) throw new TypeError('Illegal constructor');
  }
  get subtle() {
    return subtle;
  }
  /** @param {any} array */
  getRandomValues(array) {
    if (!isView(array) || !kinds.has(kindOf.call(array)))
      throw new DOMException('getRandomValues needs an integer typed array', 'TypeMismatchError');
    if (!isBufferSource(array)) throw new TypeError('getRandomValues fills no shared memory');
    if (array.byteLength > 65536)
      throw new DOMException('getRandomValues gives at most 65536 bytes at once', 'QuotaExceededError');
    random(array);
    return array;
  }
  randomUUID() {
    return uuid();
  }
}
webidlClass(Crypto, ['subtle', 'getRandomValues', 'randomUUID']);
export const crypto = new Crypto(token);

// 53 random bits a number, from the kernel, 128 at a time.
const pool = new BigUint64Array(128);
const words = new Uint32Array(pool.buffer);
let left = 0;
Math.random = function random_() {
  if (left === 0) {
    random(words);
    left = 256;
  }
  left -= 2;
  return ((words[left] >>> 5) * 67108864 + (words[left + 1] >>> 6)) / 9007199254740992;
};
Object.defineProperty(Math.random, 'name', { value: 'random' });
