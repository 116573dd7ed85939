// DOMException (Web IDL 2.8.1).
import { defineProperty, freeze, webidlClass } from './primordials.js';

const codes = freeze({
  __proto__: null,
  IndexSizeError: 1,
  HierarchyRequestError: 3,
  WrongDocumentError: 4,
  InvalidCharacterError: 5,
  NoModificationAllowedError: 7,
  NotFoundError: 8,
  NotSupportedError: 9,
  InUseAttributeError: 10,
  InvalidStateError: 11,
  SyntaxError: 12,
  InvalidModificationError: 13,
  NamespaceError: 14,
  InvalidAccessError: 15,
  TypeMismatchError: 17,
  SecurityError: 18,
  NetworkError: 19,
  AbortError: 20,
  URLMismatchError: 21,
  QuotaExceededError: 22,
  TimeoutError: 23,
  InvalidNodeTypeError: 24,
  DataCloneError: 25,
});
const captureStackTrace = Error.captureStackTrace;

export class DOMException {
  #message;
  #name;
  constructor(message = '', options = 'Error') {
    this.#message = `${message}`;
    if (typeof options === 'object' && options !== null) {
      this.#name = options.name === undefined ? 'Error' : `${options.name}`;
      if ('cause' in options)
        defineProperty(this, 'cause', { value: options.cause, writable: true, configurable: true });
    } else {
      this.#name = `${options}`;
    }
    captureStackTrace(this, DOMException);
  }
  /** @param {any} value */
  static is(value) {
    return typeof value === 'object' && value !== null && #name in value;
  }
  get name() {
    return this.#name;
  }
  get message() {
    return this.#message;
  }
  get code() {
    return /** @type {any} */ (codes)[this.#name] ?? 0;
  }
}
export const isDOMException = DOMException.is;
delete (/** @type {any} */ (DOMException).is);
Object.setPrototypeOf(DOMException.prototype, Error.prototype);
const constants = [
  'INDEX_SIZE',
  'DOMSTRING_SIZE',
  'HIERARCHY_REQUEST',
  'WRONG_DOCUMENT',
  'INVALID_CHARACTER',
  'NO_DATA_ALLOWED',
  'NO_MODIFICATION_ALLOWED',
  'NOT_FOUND',
  'NOT_SUPPORTED',
  'INUSE_ATTRIBUTE',
  'INVALID_STATE',
  'SYNTAX',
  'INVALID_MODIFICATION',
  'NAMESPACE',
  'INVALID_ACCESS',
  'VALIDATION',
  'TYPE_MISMATCH',
  'SECURITY',
  'NETWORK',
  'ABORT',
  'URL_MISMATCH',
  'QUOTA_EXCEEDED',
  'TIMEOUT',
  'INVALID_NODE_TYPE',
  'DATA_CLONE',
];
for (let i = 0; i < constants.length; i++) {
  const value = { value: i + 1, enumerable: true };
  defineProperty(DOMException, `${constants[i]}_ERR`, value);
  defineProperty(DOMException.prototype, `${constants[i]}_ERR`, value);
}
webidlClass(DOMException, ['name', 'message', 'code']);
