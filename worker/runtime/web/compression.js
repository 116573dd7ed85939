// CompressionStream and DecompressionStream (Compression standard), over the natives' codecs.
import { webidlClass } from '../core/primordials.js';
import { bytesOf } from './encoding.js';
import { TransformStream } from './streams.js';

const { codecOpen, codecStep } = native;
const kPiece = 65536; // bytes made at a time

// As native_codec.cc numbers them.
const DEFLATE = 1,
  INFLATE = 2,
  DEFLATE_RAW = 5,
  INFLATE_RAW = 6,
  BROTLI_DECODE = 8,
  BROTLI_ENCODE = 9,
  ZSTD_COMPRESS = 10,
  ZSTD_DECOMPRESS = 11;
const kLevel = 6,
  kMemory = 8,
  kWindow = 15,
  kGzip = 16; // added to the window: gzip's header and trailer, one member only

/** By format: how each way is opened, and the flush that ends it. @type {any} */
const formats = {
  __proto__: null,
  deflate: { compress: [DEFLATE, kWindow, kLevel, kMemory, 0], decompress: [INFLATE, kWindow], none: 0, finish: 4 },
  'deflate-raw': {
    compress: [DEFLATE_RAW, kWindow, kLevel, kMemory, 0],
    decompress: [INFLATE_RAW, kWindow],
    none: 0,
    finish: 4,
  },
  gzip: {
    compress: [DEFLATE, kWindow + kGzip, kLevel, kMemory, 0],
    decompress: [INFLATE, kWindow + kGzip],
    none: 0,
    finish: 4,
  },
  brotli: { compress: [BROTLI_ENCODE], decompress: [BROTLI_DECODE], none: 0, finish: 2 },
  zstd: { compress: [ZSTD_COMPRESS], decompress: [ZSTD_DECOMPRESS], none: 0, finish: 2 },
};

/** @param {any} format @param {'compress' | 'decompress'} way */
function codecStream(format, way) {
  const how = formats[`${format}`];
  if (how === undefined)
    throw new TypeError(`"${format}" is no format of ${way}ion: use gzip, deflate, deflate-raw, brotli or zstd`);
  const codec = codecOpen(...how[way]);
  if (codec === undefined) throw new TypeError(`no memory to ${way}`);
  const state = new Uint32Array(3);
  let ended = false;
  const run = (/** @type {Uint8Array} */ bytes, /** @type {number} */ flush, /** @type {any} */ controller) => {
    if (ended && bytes.length > 0) throw new TypeError(`bytes follow the end of the compressed data (${format})`);
    let left = bytes.length;
    for (;;) {
      const out = new Uint8Array(kPiece);
      const error = codecStep(codec, flush, bytes, bytes.length - left, left, out, 0, kPiece, state);
      if (error !== undefined) throw new TypeError(`the compressed data is malformed (${format}): ${error[0]}`);
      left = state[1];
      if (state[0] < kPiece) controller.enqueue(out.slice(0, kPiece - state[0]));
      if (way === 'decompress' && state[2] === 1) {
        ended = true;
        if (left > 0) throw new TypeError(`bytes follow the end of the compressed data (${format})`);
        return;
      }
      if (left === 0 && state[0] > 0) return;
    }
  };
  return new TransformStream({
    transform: (chunk, controller) => run(bytesOf(chunk), how.none, controller),
    flush(controller) {
      if (way === 'compress') return run(new Uint8Array(0), how.finish, controller);
      if (!ended) throw new TypeError(`the compressed data is cut short (${format})`);
      return undefined;
    },
  });
}

export class CompressionStream {
  #transform;
  /** @param {any} format */
  constructor(format) {
    if (arguments.length === 0) throw new TypeError('CompressionStream needs a format');
    this.#transform = codecStream(format, 'compress');
  }
  get readable() {
    return this.#transform.readable;
  }
  get writable() {
    return this.#transform.writable;
  }
}
webidlClass(CompressionStream, ['readable', 'writable']);

export class DecompressionStream {
  #transform;
  /** @param {any} format */
  constructor(format) {
    if (arguments.length === 0) throw new TypeError('DecompressionStream needs a format');
    this.#transform = codecStream(format, 'decompress');
  }
  get readable() {
    return this.#transform.readable;
  }
  get writable() {
    return this.#transform.writable;
  }
}
webidlClass(DecompressionStream, ['readable', 'writable']);
