// The legacy encodings of the WHATWG Encoding standard: all their labels, and decoders with state.
import { normalizeEncoding } from '@exodus/bytes/encoding-lite.js';
import { createMultibyteDecoder } from '@exodus/bytes/multi-byte.js';
import { createSinglebyteDecoder } from '@exodus/bytes/single-byte.js';

const multibyte = new Set(['big5', 'euc-kr', 'euc-jp', 'iso-2022-jp', 'shift_jis', 'gbk', 'gb18030']);

/** The name of the encoding that a label means, or null. @param {string} label */
export const nameOf = (label) => normalizeEncoding(label);

/** (bytes, whether more will come) => text. @param {string} encoding @param {boolean} fatal @returns {(bytes: Uint8Array, stream: boolean) => string} */
export const createDecoder = (encoding, fatal) =>
  multibyte.has(encoding) ? createMultibyteDecoder(encoding, !fatal) : createSinglebyteDecoder(encoding, !fatal);
