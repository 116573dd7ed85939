// Bodies of requests and responses (Fetch standard, section 5.2 and 5.3).
import { ArrayPush, concatBytes, defineProperty, isArrayBuffer, isView, parse, toUSVString } from '../core/primordials.js';
import { Blob, blobBytes, isBlob, setBlobType } from '../web/blob.js';
import { bytesOf } from '../web/encoding.js';
import { extractMimeType, serializeMimeType } from '../web/mime.js';
import { decodeForm, encodeMultipart, isFormData } from '../web/form_data.js';
import { ReadableStream, nextChunk, withClonedChunks } from '../web/streams.js';
import { URLSearchParams } from '../web/url.js';

const { utf8Encode, utf8Decode } = native;

/**
 * Where the bytes of a body are: known (`bytes`), still on the channel (`net`), or in a stream.
 * @typedef {{bytes: Uint8Array | null, net: any, stream: any, used: boolean}} Body
 */

/** @param {Uint8Array} bytes @returns {Body} */
export const bytesBody = (bytes) => ({ bytes, net: null, stream: null, used: false });
/** @param {any} net see fetch.js @returns {Body} */
export const netBody = (net) => ({ bytes: null, net, stream: null, used: false });

/** Web IDL's BodyInit. @param {any} init @returns {{body: Body, type: string | null}} */
export function extractBody(init) {
  if (typeof init === 'object' && init !== null) {
    if (init instanceof ReadableStream) {
      if (init.locked || isDisturbed(init))
        throw new TypeError('The stream of this body is locked or was read already');
      return { body: { bytes: null, net: null, stream: init, used: false }, type: null };
    }
    if (isBlob(init)) return { body: bytesBody(blobBytes(init)), type: init.type || null };
    if (isView(init) || isArrayBuffer(init)) return { body: bytesBody(bytesOf(init).slice()), type: null };
    if (isFormData(init)) {
      const { bytes, type } = encodeMultipart(init);
      return { body: bytesBody(bytes), type };
    }
    if (init instanceof URLSearchParams) {
      return { body: bytesBody(utf8Encode(init.toString())), type: 'application/x-www-form-urlencoded;charset=UTF-8' };
    }
    if (typeof init[Symbol.asyncIterator] === 'function') {
      return { body: { bytes: null, net: null, stream: ReadableStream.from(init), used: false }, type: null };
    }
  }
  return { body: bytesBody(utf8Encode(toUSVString(init))), type: 'text/plain;charset=UTF-8' };
}

/** @param {any} stream */
export const isDisturbed = (stream) => Boolean(stream._disturbed);

/** @param {Body} body */
export const isUnusable = (body) =>
  body.used || (body.stream !== null && (body.stream.locked || isDisturbed(body.stream)));

/** The body as a stream; made when first asked for. @param {Body} body */
export function streamOf(body) {
  if (body.stream !== null) return body.stream;
  if (body.net !== null) {
    body.stream = body.net.stream();
    body.net = null;
    return body.stream;
  }
  let bytes = body.bytes;
  body.bytes = null;
  if (body.used) bytes = null;
  body.stream = new ReadableStream({
    type: 'bytes',
    pull(controller) {
      if (bytes !== null && bytes.length > 0) controller.enqueue(bytes.slice());
      bytes = null;
      controller.close();
      /** @type {any} */ (controller).byobRequest?.respond(0);
    },
  });
  return body.stream;
}

/** The stream of a body that was read without one: as if a reader had read it, and still held it. @param {Body} body */
function usedStream(body) {
  body.net = null;
  const reader = streamOf(body).getReader();
  nextChunk(reader).catch(() => {});
  return body.stream;
}

/** In an object that inherits nothing, as nextChunk's. @param {any} stream @returns {Promise<{bytes: Uint8Array}>} */
async function readAll(stream) {
  const reader = stream.getReader();
  const chunks = [];
  for (;;) {
    const { done, value } = await nextChunk(reader);
    if (done) break;
    if (!(value instanceof Uint8Array)) {
      const error = new TypeError('A body stream must give Uint8Array chunks');
      reader.cancel(error).catch(() => {});
      throw error;
    }
    ArrayPush(chunks, value);
  }
  return /** @type {any} */ ({ __proto__: null, bytes: chunks.length === 1 ? chunks[0] : concatBytes(chunks) });
}

/** All bytes; the body is used up. @param {Body | null} body @returns {Promise<{bytes: Uint8Array}>} */
export async function consume(body) {
  if (body === null) return /** @type {any} */ ({ __proto__: null, bytes: new Uint8Array(0) });
  if (isUnusable(body)) throw new TypeError('The body was read already');
  body.used = true;
  // Awaited here: a promise that is returned would have its "then" looked up, which is the guest's.
  if (body.stream !== null) return await readAll(body.stream);
  if (body.net !== null) return await body.net.collect();
  return /** @type {any} */ ({ __proto__: null, bytes: body.bytes });
}

/** A second body with the same bytes. @param {Body | null} body @returns {Body | null} */
export function cloneBody(body) {
  if (body === null) return null;
  if (body.bytes !== null) return bytesBody(body.bytes);
  const [a, b] = streamOf(body).tee();
  body.stream = a;
  // What is done to the chunks of one branch is not seen in the other.
  return { bytes: null, net: null, stream: withClonedChunks(b), used: false };
}

/** @param {Uint8Array} bytes @param {string | null} type */
function typedBlob(bytes, type) {
  const mime = extractMimeType(type);
  const blob = new Blob([bytes]);
  if (mime !== null) setBlobType(blob, serializeMimeType(mime));
  return blob;
}

/** Gives `C` the members of the Body mixin. @param {any} C @param {(self: any) => Body | null} bodyOf @param {(self: any) => string | null} typeOf */
export function bodyMixin(C, bodyOf, typeOf) {
  /** @type {[string, (bytes: Uint8Array, type: string | null) => any][]} */
  const readers = [
    ['arrayBuffer', (bytes) => (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer)],
    ['blob', (bytes, type) => typedBlob(bytes, type)],
    ['bytes', (bytes) => bytes],
    ['formData', decodeForm],
    ['json', (bytes) => parse(withoutBom(bytes))],
    ['text', withoutBom],
  ];
  for (const [name, convert] of readers) {
    defineProperty(C.prototype, name, {
      enumerable: true,
      configurable: true,
      writable: true,
      value: {
        async [name]() {
          const body = bodyOf(this),
            type = typeOf(this);
          return convert((await consume(body)).bytes, type);
        },
      }[name],
    });
  }
  defineProperty(C.prototype, 'body', {
    enumerable: true,
    configurable: true,
    get() {
      const body = bodyOf(this);
      if (body === null) return null;
      return body.used && body.stream === null ? usedStream(body) : streamOf(body);
    },
  });
  defineProperty(C.prototype, 'bodyUsed', {
    enumerable: true,
    configurable: true,
    get() {
      const body = bodyOf(this);
      return body !== null && (body.used || (body.stream !== null && isDisturbed(body.stream)));
    },
  });
}

/** UTF-8 decode of the Encoding standard. @param {Uint8Array} bytes */
function withoutBom(bytes) {
  return utf8Decode(bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes, false);
}
