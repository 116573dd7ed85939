// node:async_hooks: AsyncLocalStorage over what V8 carries along with promises (continuation-preserved data). timers.js carries it
// with timers. The data is a Map from storage to value, which is never changed, only replaced.
import { codedError } from '../core/coded_error.js';
import { refusal } from './absent.js';

const { getContinuationData, setContinuationData } = native;

/** @returns {Map<any, any> | undefined} */
const current = () => getContinuationData();

/** Runs `f` with `frame`, and puts back what there was. @param {any} frame @param {Function} f @param {any} self @param {any[]} args */
function within(frame, f, self, args) {
  const before = current();
  setContinuationData(frame);
  try {
    return Reflect.apply(f, self, args);
  } finally {
    setContinuationData(before);
  }
}

/** @param {any} f @param {string} name */
function needFunction(f, name) {
  if (typeof f === 'function') return;
  throw codedError(
    'ERR_INVALID_ARG_TYPE',
    `The "${name}" argument must be of type function. Received ${typeof f}`,
    TypeError,
  );
}

export class AsyncLocalStorage {
  #default;
  #name;
  /** @param {{defaultValue?: any, name?: string}} [options] */
  constructor(options = {}) {
    this.#default = options?.defaultValue;
    this.#name = options?.name === undefined ? '' : `${options.name}`;
  }
  get name() {
    return this.#name;
  }
  /** @param {Function} f */
  static bind(f) {
    needFunction(f, 'fn');
    const frame = current();
    return function (...args) {
      return within(frame, f, this, args);
    };
  }
  static snapshot() {
    const frame = current();
    return (f, ...args) => within(frame, f, undefined, args);
  }
  getStore() {
    const frame = current();
    return frame?.has(this) ? frame.get(this) : this.#default;
  }
  /** @param {any} store @param {Function} f @param {any[]} args */
  run(store, f, ...args) {
    needFunction(f, 'callback');
    return within(new Map(current()).set(this, store), f, undefined, args);
  }
  /** @param {Function} f @param {any[]} args */
  exit(f, ...args) {
    return this.run(undefined, f, ...args);
  }
  /** @param {any} store */
  enterWith(store) {
    setContinuationData(new Map(current()).set(this, store));
  }
  /** @param {any} store */
  withScope(store) {
    const before = current();
    this.enterWith(store);
    return { [Symbol.dispose]: () => setContinuationData(before) };
  }
  disable() {
    const frame = new Map(current());
    frame.delete(this);
    setContinuationData(frame);
  }
}

let lastId = 1;

export class AsyncResource {
  #frame = current();
  #id = ++lastId;
  /** @param {string} type */
  constructor(type) {
    if (typeof type !== 'string')
      throw codedError('ERR_INVALID_ARG_TYPE', 'The "type" argument must be of type string.', TypeError);
  }
  /** @param {Function} f @param {any} [self] @param {any[]} args */
  runInAsyncScope(f, self, ...args) {
    return within(this.#frame, f, self, args);
  }
  emitDestroy() {
    return this;
  }
  asyncId() {
    return this.#id;
  }
  triggerAsyncId() {
    return 1;
  }
  /** @param {Function} f @param {any} [self] */
  bind(f, self) {
    needFunction(f, 'fn');
    const resource = this;
    return function (...args) {
      return resource.runInAsyncScope(f, self === undefined ? this : self, ...args);
    };
  }
  /** @param {Function} f @param {string} [type] @param {any} [self] */
  static bind(f, type, self) {
    return new AsyncResource(type ?? (f.name || 'bound-anonymous-fn')).bind(f, self);
  }
}

/** V8's hooks of every promise are not there; what they are mostly used for is. */
export function createHook() {
  throw refusal('async_hooks', 'createHook', 'use AsyncLocalStorage');
}
export const executionAsyncId = () => 1;
export const triggerAsyncId = () => 0;
const resource = {};
export const executionAsyncResource = () => resource;
export const asyncWrapProviders = Object.freeze({ __proto__: null });
