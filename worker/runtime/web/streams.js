// WHATWG streams: the reference implementation, from its npm package.
import * as ponyfill from 'web-streams-polyfill';
import { withResolvers } from '../core/primordials.js';
import { DOMException } from '../core/dom_exception.js';
import { tellsItsState } from '../core/stream_state.js';
import { registerClone, structuredClone } from '../core/structured_clone.js';

export const {
  ReadableStream,
  ReadableStreamDefaultReader,
  ReadableStreamBYOBReader,
  ReadableStreamDefaultController,
  ReadableByteStreamController,
  ReadableStreamBYOBRequest,
  WritableStream,
  WritableStreamDefaultWriter,
  WritableStreamDefaultController,
  TransformStream,
  TransformStreamDefaultController,
  ByteLengthQueuingStrategy,
  CountQueuingStrategy,
} = ponyfill;

tellsItsState(ReadableStream, 'readable');
tellsItsState(WritableStream, 'writable');

/**
 * What `reader.read()` gives, in an object that inherits nothing: a promise that is resolved with it asks no "then" of
 * Object.prototype, which a guest may have put there.
 * @param {any} reader of a default kind @returns {Promise<{done: boolean, value: any}>}
 */
export function nextChunk(reader) {
  const { promise, resolve, reject } = withResolvers();
  /** @type {any} */ (ponyfill).readerRead(reader, {
    _chunkSteps: (/** @type {any} */ value) => resolve({ __proto__: null, done: false, value }),
    _closeSteps: () => resolve({ __proto__: null, done: true, value: undefined }),
    _errorSteps: reject,
  });
  return promise;
}

/** @param {any} stream */
function unlocked(stream) {
  if (stream.locked) throw new DOMException('A locked stream cannot be transferred', 'DataCloneError');
}
registerClone(ReadableStream, {
  is: (value) => value instanceof ReadableStream,
  transfer(stream) {
    unlocked(stream);
    return withClonedChunks(stream);
  },
});
registerClone(WritableStream, {
  is: (value) => value instanceof WritableStream,
  transfer(stream) {
    unlocked(stream);
    return withClonedWrites(stream);
  },
});
registerClone(TransformStream, {
  is: (value) => value instanceof TransformStream,
  transfer(stream) {
    const { readable, writable } = stream;
    unlocked(readable);
    unlocked(writable);
    const moved = /** @type {any} */ (new TransformStream());
    moved._readable = withClonedChunks(readable);
    moved._writable = withClonedWrites(writable);
    return moved;
  },
});

/** A stream that writes structured clones to the given one, which is locked to it. @param {any} stream */
function withClonedWrites(stream) {
  const writer = stream.getWriter();
  return new WritableStream({
    write: (chunk) => writer.write(structuredClone(chunk)),
    close: () => writer.close(),
    abort: (reason) => writer.abort(reason),
  });
}

/** A stream of the same chunks as structured clones; the given one is locked to it. @param {any} stream */
export function withClonedChunks(stream) {
  const reader = stream.getReader();
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await nextChunk(reader);
        if (done) return controller.close();
        try {
          controller.enqueue(structuredClone(value));
        } catch (error) {
          reader.cancel(error).catch(() => {});
          throw error;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
