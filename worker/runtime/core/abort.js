// AbortController and AbortSignal (DOM standard, section 3).
import { ArrayPush, setPrototypeOf, webidlClass } from './primordials.js';
import { DOMException } from './dom_exception.js';
import { Event, EventTarget, eventHandler, fire, listens, watchAbortListeners } from './events.js';
import { setTimeout, unrefTimer } from './timers.js';

/** @type {(signal: any, reason: any) => void} */
export let signalAbort;
/** Runs `algorithm` when `signal` aborts; returns how to take it back. @type {(signal: any, algorithm: Function) => () => void} */
export let onAbort;
/** @type {() => any} */
let makeSignal;
/** @type {(value: any) => boolean} */
export let isSignal;
/** A signal that aborts with any of these. @type {(signals: any[]) => any} */
export let dependentSignal;

const key = {};

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  /** @type {Set<Function>} */ #algorithms = new Set();
  // A signal that depends on others lives for them only as long as somebody listens to it: of the many that follow one signal
  // of a long life, most are forgotten at once.
  /** @type {WeakRef<any>[] | null} what it depends on; null for a signal of its own */ #sources = null;
  /** @type {WeakRef<any>[]} what depends on it */ #dependents = [];
  #most = 32; // of those, before the ones that are gone are looked for
  /** @type {Set<any>} those of them to which somebody listens */ #listened = new Set();
  static {
    makeSignal = () => new AbortSignal(key);
    isSignal = (value) => typeof value === 'object' && value !== null && #aborted in value;
    const living = (/** @type {WeakRef<any>[]} */ refs) => {
      const found = [];
      for (let i = 0; i < refs.length; i++) {
        const signal = refs[i].deref();
        if (signal !== undefined) ArrayPush(found, signal);
      }
      return found;
    };
    const hold = (/** @type {any} */ signal) => {
      if (signal.#sources === null || signal.#aborted) return;
      const listened = signal.#algorithms.size > 0 || listens(signal, 'abort');
      const sources = living(signal.#sources);
      for (let i = 0; i < sources.length; i++) {
        if (listened) sources[i].#listened.add(signal);
        else sources[i].#listened.delete(signal);
      }
    };
    watchAbortListeners((target) => {
      if (isSignal(target)) hold(target);
    });
    onAbort = (signal, algorithm) => {
      signal.#algorithms.add(algorithm);
      hold(signal);
      return () => {
        signal.#algorithms.delete(algorithm);
        hold(signal);
      };
    };
    const follow = (/** @type {any} */ signal, /** @type {any} */ source) => {
      if (source.#dependents.length >= source.#most) {
        source.#dependents = source.#dependents.filter((/** @type {WeakRef<any>} */ ref) => ref.deref() !== undefined);
        source.#most = 32 + 2 * source.#dependents.length;
      }
      ArrayPush(source.#dependents, new WeakRef(signal));
      ArrayPush(signal.#sources, new WeakRef(source));
    };
    dependentSignal = (signals) => {
      const result = makeSignal();
      for (let i = 0; i < signals.length; i++) {
        if (signals[i].#aborted) {
          signalAbort(result, signals[i].#reason);
          return result;
        }
      }
      result.#sources = [];
      const followed = new Set();
      for (let i = 0; i < signals.length; i++) {
        // One that depends on others may be gone before them.
        const sources = signals[i].#sources === null ? [signals[i]] : living(signals[i].#sources);
        for (let k = 0; k < sources.length; k++) {
          if (followed.has(sources[k])) continue;
          followed.add(sources[k]);
          follow(result, sources[k]);
        }
      }
      return result;
    };
    signalAbort = (signal, reason) => {
      if (signal.#aborted) return;
      const given = reason === undefined ? new DOMException('This operation was aborted', 'AbortError') : reason;
      const dependents = living(signal.#dependents);
      const all = [signal];
      for (let i = 0; i < dependents.length; i++) if (!dependents[i].#aborted) ArrayPush(all, dependents[i]);
      // All of them are aborted before anybody is told.
      for (let i = 0; i < all.length; i++) {
        all[i].#aborted = true;
        all[i].#reason = given;
      }
      signal.#dependents = [];
      signal.#listened = new Set();
      for (let i = 0; i < all.length; i++) {
        const algorithms = all[i].#algorithms;
        all[i].#algorithms = new Set();
        algorithms.forEach((algorithm) => algorithm(given));
        fire(all[i], new Event('abort'));
      }
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
    const list = [...signals];
    for (const s of list) if (!isSignal(s)) throw new TypeError('AbortSignal.any needs a list of AbortSignals');
    return dependentSignal(list);
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
