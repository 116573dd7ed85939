// AbortController and AbortSignal (DOM standard, section 3).
import { ArrayPush, setPrototypeOf, webidlClass } from './primordials.js';
import { DOMException } from './dom_exception.js';
import { Event, EventTarget, eventHandler, fire } from './events.js';
import { setTimeout, unrefTimer } from './timers.js';

/** @type {(signal: any, reason: any) => void} */
export let signalAbort;
/** Runs `algorithm` when `signal` aborts; returns how to take it back. @type {(signal: any, algorithm: Function) => () => void} */
export let onAbort;
/** @type {() => any} */
let makeSignal;
/** @type {(value: any) => boolean} */
export let isSignal;

const key = {};

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  /** @type {Set<Function>} */ #algorithms = new Set();
  /** @type {any[]} */ #dependents = [];
  static {
    makeSignal = () => new AbortSignal(key);
    isSignal = (value) => typeof value === 'object' && value !== null && #aborted in value;
    onAbort = (signal, algorithm) => {
      signal.#algorithms.add(algorithm);
      return () => signal.#algorithms.delete(algorithm);
    };
    signalAbort = (signal, reason) => {
      if (signal.#aborted) return;
      signal.#aborted = true;
      signal.#reason = reason === undefined ? new DOMException('This operation was aborted', 'AbortError') : reason;
      const algorithms = signal.#algorithms;
      signal.#algorithms = new Set();
      algorithms.forEach((algorithm) => algorithm(signal.#reason));
      fire(signal, new Event('abort'));
      for (let i = 0; i < signal.#dependents.length; i++) signalAbort(signal.#dependents[i], signal.#reason);
    };
  }
  /** @param {any} [token] */
  constructor(token) {
    if (token !== key) throw new TypeError('Illegal constructor');
    super();
  }
  get aborted() {
    return this.#aborted;
  }
  get reason() {
    return this.#reason;
  }
  throwIfAborted() {
    if (this.#aborted) throw this.#reason;
  }
  /** @param {any} [reason] */
  static abort(reason) {
    const signal = makeSignal();
    signalAbort(signal, reason);
    return signal;
  }
  /** @param {number} milliseconds */
  static timeout(milliseconds) {
    const ms = Number(milliseconds);
    if (!(ms >= 0) || ms > Number.MAX_SAFE_INTEGER)
      throw new TypeError('AbortSignal.timeout needs milliseconds of 0 or more');
    const signal = makeSignal();
    unrefTimer(setTimeout(() => signalAbort(signal, new DOMException('The operation timed out', 'TimeoutError')), ms));
    return signal;
  }
  /** @param {Iterable<AbortSignal>} signals */
  static any(signals) {
    const result = makeSignal();
    const list = [...signals];
    for (const s of list) if (!isSignal(s)) throw new TypeError('AbortSignal.any needs a list of AbortSignals');
    for (const s of list) {
      if (s.#aborted) {
        signalAbort(result, s.#reason);
        return result;
      }
    }
    for (const s of list) ArrayPush(s.#dependents, result);
    return result;
  }
}
eventHandler(AbortSignal.prototype, 'abort');
webidlClass(AbortSignal, ['aborted', 'reason', 'throwIfAborted'], ['abort', 'timeout', 'any']);

export class AbortController {
  #signal = makeSignal();
  get signal() {
    return this.#signal;
  }
  /** @param {any} [reason] */
  abort(reason) {
    signalAbort(this.#signal, reason);
  }
}
webidlClass(AbortController, ['signal', 'abort']);
setPrototypeOf(AbortSignal, EventTarget);
