// What Node's own modules ask web streams, by symbols: node:stream's finished, pipeline, addAbortSignal, isReadable, isErrored, isDisturbed.
import { withResolvers } from './primordials.js';

const { defineProperties, defineProperty } = Object;
const symbol = (/** @type {string} */ name) => Symbol.for(`nodejs.${name}`);
const kIsClosedPromise = symbol('webstream.isClosedPromise');

/**
 * @param {any} Class ReadableStream or WritableStream, of the ponyfill: its state is in properties that begin with "_"
 * @param {'readable' | 'writable'} kind
 */
export function tellsItsState(Class, kind) {
  const getter = (/** @type {(stream: any) => any} */ get) => ({
    configurable: true,
    get() {
      return get(this);
    },
  });
  defineProperties(Class.prototype, {
    [symbol(`stream.${kind}`)]: getter((stream) => stream._state === kind),
    [symbol('stream.errored')]: getter((stream) => stream._state === 'errored'),
    [symbol('stream.disturbed')]: getter((stream) => stream._disturbed === true),
    [kIsClosedPromise]: getter(closing),
    [symbol('webstream.controllerErrorFunction')]: getter((stream) => (/** @type {any} */ error) => {
      stream[`_${kind}StreamController`].error(error);
    }),
  });
}

/** A promise of the stream's end, which is asked for without a lock: in `promise`, as Node's lib/ has it. @param {any} stream */
function closing(stream) {
  let state = stream._state;
  const { promise, resolve } = withResolvers();
  const ends = () => (state === 'closed' || state === 'errored') && resolve(undefined);
  // The reason stands in the stream once its state is told.
  const closed = promise.then(() => {
    if (state === 'errored') throw stream._storedError;
  });
  closed.catch(() => {});
  defineProperty(stream, '_state', {
    configurable: true,
    get: () => state,
    set(/** @type {string} */ next) {
      state = next;
      ends();
    },
  });
  ends();
  const value = { promise: closed };
  defineProperty(stream, kIsClosedPromise, { configurable: true, value });
  return value;
}
