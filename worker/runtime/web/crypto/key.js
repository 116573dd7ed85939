// CryptoKey (Web Cryptography API), and the errors that its algorithms fail with.
import { isView, webidlClass } from '../../core/primordials.js';
import { DOMException } from '../../core/dom_exception.js';
import { registerClone } from '../../core/structured_clone.js';

/** @param {string} message */
export const operationError = (message) => new DOMException(message, 'OperationError');
/** @param {string} message */
export const dataError = (message) => new DOMException(message, 'DataError');
/** @param {string} message */
export const notSupported = (message) => new DOMException(message, 'NotSupportedError');
/** @param {string} message */
export const invalidAccess = (message) => new DOMException(message, 'InvalidAccessError');
/** @param {string} message */
export const syntaxError = (message) => new DOMException(message, 'SyntaxError');

/** @typedef {{type: string, extractable: boolean, algorithm: any, usages: string[], data: any}} KeyState `data`: bytes of a secret, or a native key */
/** @type {(key: any) => KeyState} */
export let stateOf;
/** @type {(state: KeyState) => CryptoKey} */
export let makeKey;
/** @type {(value: any) => boolean} */
export let isCryptoKey;
/** Who has it may make what a guest may not. */
export const token = {};

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
