// node:timers and node:timers/promises.
import * as timers from '../core/timers.js';
import { queueMicrotask } from '../core/microtask.js';
import { load } from './loader.js';

const abortError = (signal) => new (load('internal/errors').AbortError)(undefined, { cause: signal.reason });

/** {signal, ref}, checked. @param {any} options @param {any} delay */
function optionsOf(options, delay) {
  const { validateAbortSignal, validateBoolean, validateNumber, validateObject } = load('internal/validators');
  if (delay !== undefined) validateNumber(delay, 'delay');
  validateObject(options, 'options');
  const { signal, ref = true } = options;
  if (signal !== undefined) validateAbortSignal(signal, 'options.signal');
  validateBoolean(ref, 'options.ref');
  return { signal, ref };
}

/** @param {(done: () => void) => any} begin @param {(timer: any) => void} end @param {any} delay @param {any} value @param {any} options */
async function wait(begin, end, delay, value, options) {
  const { signal, ref } = optionsOf(options, delay);
  if (signal?.aborted) throw abortError(signal);
  return new Promise((resolve, reject) => {
    const abort = () => {
      end(timer);
      reject(abortError(signal));
    };
    const timer = begin(() => {
      signal?.removeEventListener('abort', abort);
      resolve(value);
    });
    if (!ref) timer.unref();
    signal?.addEventListener('abort', abort, { once: true });
  });
}

export const promises = {
  setTimeout: (delay = undefined, value = undefined, options = {}) =>
    wait((done) => timers.setTimeout(done, delay), timers.clearTimeout, delay, value, options),
  setImmediate: (value = undefined, options = {}) =>
    wait((done) => timers.setImmediate(done), timers.clearImmediate, undefined, value, options),
  async *setInterval(delay = undefined, value = undefined, options = {}) {
    const { signal, ref } = optionsOf(options, delay);
    if (signal?.aborted) throw abortError(signal);
    let due = 0;
    let wake = () => {};
    const timer = timers.setInterval(() => {
      due++;
      wake();
    }, delay);
    if (!ref) timer.unref();
    const abort = () => wake();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      for (;;) {
        if (due === 0) await new Promise((resolve) => (wake = () => resolve(undefined)));
        if (signal?.aborted) throw abortError(signal);
        for (; due > 0; due--) yield value;
      }
    } finally {
      timers.clearInterval(timer);
      signal?.removeEventListener('abort', abort);
    }
  },
  scheduler: {
    wait: (delay, options) => promises.setTimeout(delay, undefined, options),
    yield: () => promises.setImmediate(),
  },
};

export const module = {
  setTimeout: timers.setTimeout,
  clearTimeout: timers.clearTimeout,
  setInterval: timers.setInterval,
  clearInterval: timers.clearInterval,
  setImmediate: timers.setImmediate,
  clearImmediate: timers.clearImmediate,
  promises,
  queueMicrotask,
};
