// How console.log and util.inspect show the runtime's own objects: by what their getters say, as Node does.
import { defineProperty } from './core/primordials.js';
import { AbortController, AbortSignal } from './core/abort.js';
import { Blob, File } from './web/blob.js';
import { CompressionStream, DecompressionStream } from './web/compression.js';
import { CryptoKey } from './web/crypto/key.js';
import { TextDecoder, TextDecoderStream, TextEncoder, TextEncoderStream } from './web/encoding.js';
import { EventSource } from './fetch/event_source.js';
import { CustomEvent, ErrorEvent, Event } from './core/events.js';
import { FormData } from './web/form_data.js';
import { Request } from './fetch/request.js';
import { Response } from './fetch/response.js';
import { ReadableByteStreamController, ReadableStream, TransformStream, WritableStream } from './web/streams.js';
import { CloseEvent, WebSocket } from './fetch/websocket.js';
import { MessageEvent } from './web/message_event.js';

const ofEvents = ['type', 'defaultPrevented', 'cancelable', 'timeStamp'];
/** By class: the properties that are shown, or what makes an object of them. @type {[any, string[] | ((it: any) => any)][]} */
const shown = [
  [AbortController, ['signal']],
  [AbortSignal, ['aborted']],
  [Blob, ['size', 'type']],
  [CloseEvent, [...ofEvents, 'wasClean', 'code', 'reason']],
  [CompressionStream, ['readable', 'writable']],
  [CryptoKey, ['type', 'extractable', 'algorithm', 'usages']],
  [CustomEvent, ofEvents],
  [DecompressionStream, ['readable', 'writable']],
  [ErrorEvent, [...ofEvents, 'message', 'error']],
  [Event, ofEvents],
  [EventSource, ['url', 'readyState', 'withCredentials']],
  [File, ['size', 'type', 'name', 'lastModified']],
  [
    FormData,
    (form) => {
      /** @type {any} */
      const fields = {};
      for (const name of [...form.keys()]) {
        const values = form.getAll(name);
        fields[name] = values.length === 1 ? values[0] : values;
      }
      return fields;
    },
  ],
  [MessageEvent, [...ofEvents, 'data', 'origin']],
  [ReadableStream, (s) => ({ locked: s.locked, state: s._state, supportsBYOB: isOfBytes(s) })],
  [
    Request,
    // prettier-ignore
    ['method', 'url', 'headers', 'destination', 'referrer', 'referrerPolicy', 'mode', 'credentials', 'cache', 'redirect', 'integrity',
      'keepalive', 'signal'],
  ],
  [Response, ['status', 'statusText', 'headers', 'bodyUsed', 'ok', 'redirected', 'type', 'url']],
  [TextDecoder, ['encoding', 'fatal', 'ignoreBOM']],
  [TextDecoderStream, ['encoding', 'fatal', 'ignoreBOM', 'readable', 'writable']],
  [TextEncoder, ['encoding']],
  [TextEncoderStream, ['encoding', 'readable', 'writable']],
  [TransformStream, (s) => ({ readable: s.readable, writable: s.writable, backpressure: s._backpressure })],
  [WebSocket, ['url', 'readyState', 'protocol', 'binaryType', 'bufferedAmount']],
  [WritableStream, (s) => ({ locked: s.locked, state: s._state })],
];
const isOfBytes = (/** @type {any} */ stream) =>
  stream._readableStreamController instanceof ReadableByteStreamController;

for (const pair of shown) {
  const [Class, what] = pair;
  defineProperty(Class.prototype, Symbol.for('nodejs.util.inspect.custom'), {
    configurable: true,
    writable: true,
    /** @this {any} @param {any} depth @param {any} options @param {any} inspect */
    value(depth, options, inspect) {
      if (typeof depth === 'number' && depth < 0) return this;
      /** @type {any} */
      let object = {};
      if (typeof what === 'function') object = what(this);
      else for (const name of what) object[name] = this[name];
      const inner = typeof options.depth === 'number' ? options.depth - 1 : options.depth;
      return `${this.constructor?.name ?? Class.name} ${inspect(object, { ...options, depth: inner })}`;
    },
  });
}
