// What the web adds to WebAssembly: streaming compilation, and no shared memory. V8 adds WebAssembly itself to the context
// after the start-up snapshot, so this runs in the zygote.
import { defineProperty, getOwnPropertyDescriptor, isArrayBuffer, uncurryThis } from './primordials.js';
import { essenceOf, parseMimeType } from './mime.js';
import { isResponse } from './response.js';

/** The bytes of a response that says that it is WebAssembly. @param {any} source a Response or a promise of one */
async function wasmBytes(source) {
  const response = await source;
  if (!isResponse(response)) throw new TypeError('a Response, or a promise of one, is needed');
  if (!response.ok) throw new TypeError(`the response has the status ${response.status}`);
  const type = response.headers.get('content-type') ?? '';
  const mime = parseMimeType(type);
  // Without parameters, says the WebAssembly Web API.
  if (mime === null || essenceOf(mime) !== 'application/wasm' || type.includes(';'))
    throw new TypeError(`the response has the type "${type}", not application/wasm`);
  return response.arrayBuffer();
}

/**
 * SharedArrayBuffer itself is not there; the other way to one is a WebAssembly memory that is shared. For a guest's one
 * thread it has no use.
 */
function hideSharedMemory() {
  const { prototype } = WebAssembly.Memory;
  const buffer = uncurryThis(/** @type {any} */ (getOwnPropertyDescriptor(prototype, 'buffer')).get);
  defineProperty(prototype, 'buffer', {
    get() {
      const bytes = buffer(this);
      if (!isArrayBuffer(bytes)) throw new TypeError('shared memory is not available: a guest has one thread');
      return bytes;
    },
  });
  delete (/** @type {any} */ (prototype).toResizableBuffer);
}

export function extendWebAssembly() {
  if (globalThis.WebAssembly === undefined) return; // --jitless
  hideSharedMemory();
  const { compile, instantiate } = WebAssembly;
  const add = (/** @type {string} */ name, /** @type {Function} */ value) =>
    defineProperty(WebAssembly, name, { value, writable: true, configurable: true, enumerable: true });
  add('compileStreaming', async function compileStreaming(/** @type {any} */ source) {
    return compile(await wasmBytes(source));
  });
  add(
    'instantiateStreaming',
    async function instantiateStreaming(/** @type {any} */ source, /** @type {any} */ imports) {
      return instantiate(await wasmBytes(source), imports);
    },
  );
}
