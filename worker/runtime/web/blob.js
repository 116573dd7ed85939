// Blob and File (W3C File API).
import { ArrayPush, concatBytes, isArrayBuffer, isView, toUSVString, webidlClass } from '../core/primordials.js';
import { bytesOf } from './encoding.js';
import { ReadableStream } from './streams.js';
import { registerClone } from '../core/structured_clone.js';

const { utf8Encode, utf8Decode } = native;

/** @type {(blob: any) => Uint8Array} */
export let blobBytes;
/** @type {(value: any) => boolean} */
export let isBlob;
/** @type {(blob: any, type: string) => void} */
export let setBlobType;

/** @param {any} type */
function normalType(type) {
  const text = `${type}`;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) < 0x20 || text.charCodeAt(i) > 0x7e) return '';
  return text.toLowerCase();
}

export class Blob {
  /** @type {Uint8Array} */ #bytes;
  #type = '';
  static {
    blobBytes = (blob) => blob.#bytes;
    setBlobType = (blob, type) => {
      blob.#type = type;
    };
    isBlob = (value) => typeof value === 'object' && value !== null && #bytes in value;
    registerClone(this, { is: isBlob, clone: (blob) => blob.slice(0, blob.size, blob.type) });
  }
  /** @param {any} [parts] @param {any} [options] */
  constructor(parts = [], options = {}) {
    if ((typeof parts !== 'object' && typeof parts !== 'function') || parts === null)
      throw new TypeError('Blob parts must be a sequence');
    if (options !== undefined && options !== null && typeof options !== 'object' && typeof options !== 'function')
      throw new TypeError('Blob options must be an object');
    const endings = options?.endings === undefined ? 'transparent' : `${options.endings}`;
    if (endings !== 'transparent' && endings !== 'native') throw new TypeError(`"${endings}" is no value of endings`);
    const list = [];
    for (const part of parts) {
      let bytes;
      if (isBlob(part)) bytes = blobBytes(part);
      else if (isView(part) || isArrayBuffer(part)) bytes = bytesOf(part).slice();
      else bytes = utf8Encode(endings === 'native' ? toUSVString(part).replace(/\r\n?|\n/g, '\n') : toUSVString(part));
      ArrayPush(list, bytes);
    }
    this.#bytes = concatBytes(list);
    if (options?.type !== undefined) this.#type = normalType(options.type);
  }
  get size() {
    return this.#bytes.length;
  }
  get type() {
    return this.#type;
  }
  /** @param {number} [start] @param {number} [end] @param {string} [type] */
  slice(start = 0, end = this.size, type = '') {
    const blob = new Blob();
    blob.#bytes = this.#bytes.subarray(...clamp(start, end, this.size));
    blob.#type = normalType(type);
    return blob;
  }
  async arrayBuffer() {
    return this.#bytes.slice().buffer;
  }
  async bytes() {
    return this.#bytes.slice();
  }
  async text() {
    return utf8Decode(this.#bytes, false);
  }
  stream() {
    const bytes = this.#bytes;
    let at = 0;
    return new ReadableStream({
      type: 'bytes',
      pull(controller) {
        if (at < bytes.length) {
          controller.enqueue(bytes.slice(at, (at += 65536)));
        }
        if (at >= bytes.length) {
          controller.close();
          /** @type {any} */ (controller).byobRequest?.respond(0);
        }
      },
    });
  }
}
webidlClass(Blob, ['size', 'type', 'slice', 'arrayBuffer', 'bytes', 'text', 'stream']);

/** @param {number} start @param {number} end @param {number} size @returns {[number, number]} */
function clamp(start, end, size) {
  const at = (/** @type {number} */ n) =>
    n < 0 ? Math.max(size + Math.trunc(n), 0) : Math.min(Math.trunc(n) || 0, size);
  return [at(Number(start)), Math.max(at(Number(start)), at(Number(end)))];
}

export class File extends Blob {
  #name;
  #lastModified;
  static {
    registerClone(this, {
      is: (value) => #name in value,
      clone: (file) => new File([file], file.#name, { type: file.type, lastModified: file.#lastModified }),
    });
  }
  /** @param {any} parts @param {any} name @param {any} [options] */
  constructor(parts, name, options = {}) {
    if (arguments.length < 2) throw new TypeError('File needs its parts and a name');
    super(parts, options);
    this.#name = toUSVString(name);
    this.#lastModified =
      options?.lastModified === undefined ? Date.now() : Math.trunc(Number(options.lastModified)) || 0;
  }
  get name() {
    return this.#name;
  }
  get lastModified() {
    return this.#lastModified;
  }
  get webkitRelativePath() {
    return '';
  }
}
webidlClass(File, ['name', 'lastModified']);
