// TextEncoder, TextDecoder and their streams (WHATWG Encoding). UTF-8, UTF-16 and windows-1252 are here; the legacy encodings
// are a part of their own.
import { concatBytes, byteLength, isArrayBuffer, isView, toUSVString, webidlClass } from '../core/primordials.js';
import { part } from '../core/lazy_part.js';
import { TransformStream } from './streams.js';

const { utf8Encode, utf8EncodeInto, utf8Decode, utf8Prefix, latin1Decode } = native;

/** The bytes of a BufferSource. @param {any} source @returns {Uint8Array} */
export function bytesOf(source) {
  if (isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (isArrayBuffer(source)) return new Uint8Array(source);
  if (typeof SharedArrayBuffer !== 'undefined' && source instanceof SharedArrayBuffer) return new Uint8Array(source);
  throw new TypeError('not an ArrayBuffer or a view of one');
}

export class TextEncoder {
  get encoding() {
    return 'utf-8';
  }
  encode(input = '') {
    return utf8Encode(`${input}`);
  }
  encodeInto(/** @type {any} */ source, /** @type {any} */ destination) {
    if (!(destination instanceof Uint8Array)) throw new TypeError('encodeInto needs a Uint8Array');
    const [read, written] = utf8EncodeInto(`${source}`, destination);
    return { read, written };
  }
}
webidlClass(TextEncoder, ['encoding', 'encode', 'encodeInto']);

/** @type {any} */
const labels = { __proto__: null };
for (const [name, list] of [
  ['utf-8', 'unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8'],
  ['utf-16le', 'csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le'],
  ['utf-16be', 'unicodefffe utf-16be'],
  [
    'windows-1252',
    'ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252',
  ],
]) {
  for (const label of list.split(' ')) labels[label] = name;
}
// Bytes 0x80 to 0x9f of windows-1252.
const high =
  '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

const edges = /^[\t\n\f\r ]+|[\t\n\f\r ]+$/g;
/** The encoding that a label means; undefined where there is none. @param {string | undefined} label @returns {string | undefined} */
export function encodingOf(label) {
  if (label === undefined) return undefined;
  return labels[label.replace(edges, '').toLowerCase()] ?? part('encodings').nameOf(label) ?? undefined;
}

/** Encodings whose decoders are here. */
const own = { __proto__: null, 'utf-8': true, 'utf-16le': true, 'utf-16be': true, 'windows-1252': true };

export class TextDecoder {
  #encoding;
  /** Of a legacy encoding. @type {((bytes: Uint8Array, stream: boolean) => string) | undefined} */ #legacy;
  #fatal;
  #ignoreBOM;
  #pending = new Uint8Array(0);
  #bomSeen = false;
  /** @param {any} [label] @param {any} [options] */
  constructor(label = 'utf-8', options = {}) {
    this.#encoding = /** @type {any} */ (encodingOf(`${label}`));
    if (this.#encoding === undefined || this.#encoding === 'replacement')
      throw new RangeError(`"${label}" is no encoding that can be decoded`);
    this.#fatal = Boolean(options?.fatal);
    this.#ignoreBOM = Boolean(options?.ignoreBOM);
  }
  get encoding() {
    return this.#encoding;
  }
  get fatal() {
    return this.#fatal;
  }
  get ignoreBOM() {
    return this.#ignoreBOM;
  }
  /** @param {any} [input] @param {any} [options] */
  decode(input, options) {
    let bytes = input === undefined ? new Uint8Array(0) : bytesOf(input);
    const stream = Boolean(options?.stream);
    if (!(/** @type {any} */ (own)[this.#encoding])) {
      this.#legacy ??= part('encodings').createDecoder(this.#encoding, this.#fatal);
      return /** @type {any} */ (this.#legacy)(bytes, stream);
    }
    if (byteLength(this.#pending) > 0) {
      bytes = concatBytes([this.#pending, bytes]);
      this.#pending = new Uint8Array(0);
    }
    if (stream) {
      const whole =
        this.#encoding === 'utf-8'
          ? utf8Prefix(bytes)
          : this.#encoding === 'windows-1252'
            ? bytes.length
            : this.#wholeUtf16(bytes);
      this.#pending = bytes.slice(whole);
      bytes = bytes.subarray(0, whole);
    }
    let text = this.#text(bytes);
    if (text === undefined) {
      this.#bomSeen = false;
      this.#pending = new Uint8Array(0);
      throw new TypeError(`The encoded data was not valid for encoding ${this.#encoding}`);
    }
    if (!this.#bomSeen && text.length > 0 && this.#encoding !== 'windows-1252') {
      if (!this.#ignoreBOM && text[0] === '\ufeff') text = text.slice(1);
      this.#bomSeen = true;
    }
    if (!stream) this.#bomSeen = false;
    return text;
  }
  /** @param {Uint8Array} bytes */
  #wholeUtf16(bytes) {
    const even = bytes.length & ~1;
    if (even === 0) return 0;
    const unit = this.#encoding === 'utf-16le' ? bytes[even - 1] : bytes[even - 2];
    return unit >= 0xd8 && unit <= 0xdb ? even - 2 : even;
  }
  /** @param {Uint8Array} bytes @returns {string | undefined} */
  #text(bytes) {
    if (this.#encoding === 'utf-8') return utf8Decode(bytes, this.#fatal);
    if (this.#encoding === 'windows-1252')
      return latin1Decode(bytes).replace(/[\x80-\x9f]/g, (/** @type {string} */ c) => high[c.charCodeAt(0) - 0x80]);
    const little = this.#encoding === 'utf-16le' ? 1 : 0;
    let out = '';
    for (let i = 0; i + 1 < bytes.length; i += 2)
      out += String.fromCharCode(little ? bytes[i] | (bytes[i + 1] << 8) : (bytes[i] << 8) | bytes[i + 1]);
    if (this.#fatal && (bytes.length % 2 === 1 || !out.isWellFormed())) return undefined;
    return toUSVString(out) + (bytes.length % 2 === 1 ? '\ufffd' : '');
  }
}
webidlClass(TextDecoder, ['encoding', 'fatal', 'ignoreBOM', 'decode']);

export class TextEncoderStream {
  #transform;
  constructor() {
    let high = '';
    this.#transform = new TransformStream({
      transform(chunk, controller) {
        let text = high + `${chunk}`;
        high = '';
        const last = text.charCodeAt(text.length - 1);
        if (last >= 0xd800 && last <= 0xdbff) {
          high = text[text.length - 1];
          text = text.slice(0, -1);
        }
        if (text !== '') controller.enqueue(utf8Encode(text));
      },
      flush(controller) {
        if (high !== '') controller.enqueue(utf8Encode(high));
      },
    });
  }
  get encoding() {
    return 'utf-8';
  }
  get readable() {
    return this.#transform.readable;
  }
  get writable() {
    return this.#transform.writable;
  }
}
webidlClass(TextEncoderStream, ['encoding', 'readable', 'writable']);

export class TextDecoderStream {
  #decoder;
  #transform;
  /** @param {any} [label] @param {any} [options] */
  constructor(label, options) {
    const decoder = (this.#decoder = new TextDecoder(label, options));
    this.#transform = new TransformStream({
      transform(chunk, controller) {
        const text = decoder.decode(chunk, { stream: true });
        if (text !== '') controller.enqueue(text);
      },
      flush(controller) {
        const text = decoder.decode();
        if (text !== '') controller.enqueue(text);
      },
    });
  }
  get encoding() {
    return this.#decoder.encoding;
  }
  get fatal() {
    return this.#decoder.fatal;
  }
  get ignoreBOM() {
    return this.#decoder.ignoreBOM;
  }
  get readable() {
    return this.#transform.readable;
  }
  get writable() {
    return this.#transform.writable;
  }
}
webidlClass(TextDecoderStream, ['encoding', 'fatal', 'ignoreBOM', 'readable', 'writable']);
