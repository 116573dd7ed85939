// node:timers and node:timers/promises.
import * as timers from '../timers.js';
import { queueMicrotask } from '../microtask.js';

/** @param {any} signal */
const abortError = (signal) => {
  const error = /** @type {any} */ (new Error('The operation was aborted', { cause: signal.reason }));
  error.name = 'AbortError';
  error.code = 'ABORT_ERR';
  return error;
};

/** @param {(done: () => void) => any} begin @param {(timer: any) => void} end @param {any} value @param {any} options */
function wait(begin, end, value, options) {
  const { signal, ref = true } = options ?? {};
  if (signal?.aborted) return Promise.reject(abortError(signal));
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
  setTimeout: (delay = 1, value = undefined, options = {}) =>
    wait((done) => timers.setTimeout(done, delay), timers.clearTimeout, value, options),
  setImmediate: (value = undefined, options = {}) =>
    wait((done) => timers.setImmediate(done), timers.clearImmediate, value, options),
  async *setInterval(delay = 1, value = undefined, options = {}) {
    const { signal, ref = true } = options ?? {};
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
