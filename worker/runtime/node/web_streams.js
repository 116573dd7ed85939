// What stream.finished of Node's lib/ asks of a web stream, whoever has it locked: a promise of its end.
import { ReadableStream, WritableStream } from '../streams.js';

const kIsClosedPromise = Symbol.for('nodejs.webstream.isClosedPromise');
/** @type {WeakMap<any, {promise: Promise<void>}>} */
const ends = new WeakMap();

/** @param {any} stream */
function endOf(stream) {
  let resolve, reject;
  const promise = new Promise((...both) => ([resolve, reject] = both));
  promise.catch(() => {});
  let state = stream._state;
  const settle = () => {
    if (state === 'closed') resolve();
    // Why is known only after this.
    else if (state === 'errored') queueMicrotask(() => reject(stream._storedError));
  };
  Object.defineProperty(stream, '_state', {
    get: () => state,
    set(value) {
      state = value;
      settle();
    },
    configurable: true,
    enumerable: false,
  });
  settle();
  return { promise };
}

for (const { prototype } of [ReadableStream, WritableStream])
  Object.defineProperty(prototype, kIsClosedPromise, {
    get() {
      if (!ends.has(this)) ends.set(this, endOf(this));
      return ends.get(this);
    },
    configurable: true,
    enumerable: false,
  });
