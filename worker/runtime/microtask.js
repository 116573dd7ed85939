// queueMicrotask (HTML 8.6).
import { reportError } from './events.js';

const done = Promise.resolve();

export function queueMicrotask(/** @type {any} */ callback) {
  if (typeof callback !== 'function') throw new TypeError('queueMicrotask needs a function');
  done.then(() => {
    try {
      callback();
    } catch (error) {
      reportError(error);
    }
  });
}
