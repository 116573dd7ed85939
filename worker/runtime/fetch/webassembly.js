// What the web adds to WebAssembly: streaming compilation. V8 adds WebAssembly itself to the context after the start-up
// snapshot, so this runs in the zygote.
import { defineProperty } from '../core/primordials.js';
import { essenceOf, parseMimeType } from '../web/mime.js';
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

export function extendWebAssembly() {
  if (globalThis.WebAssembly === undefined) return; // --jitless
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
