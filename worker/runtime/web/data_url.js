// data: URLs (Fetch standard, section 6).
import { StringIndexOf, StringSlice } from '../core/primordials.js';
import { parseMimeType, serializeMimeType } from './mime.js';

const base64End = /; *base64$/i;
const edges = /^[\t\n\r ]+|[\t\n\r ]+$/g;

/** @param {string} href without its fragment @returns {{type: string, bytes: Uint8Array} | null} */
export function readDataUrl(href) {
  const comma = StringIndexOf(href, ',');
  if (comma < 0) return null;
  let type = StringSlice(href, 'data:'.length, comma).replace(edges, '');
  let bytes = percentDecode(StringSlice(href, comma + 1));
  if (base64End.test(type)) {
    const text = native.atob(native.latin1Decode(bytes));
    if (text === undefined) return null;
    bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    type = type.replace(base64End, '');
  }
  if (type[0] === ';') type = `text/plain${type}`;
  const mime = parseMimeType(type);
  return { type: mime === null ? 'text/plain;charset=US-ASCII' : serializeMimeType(mime), bytes };
}

/** @param {number} c */
const unhex = (c) =>
  c >= 0x30 && c <= 0x39 ? c - 0x30 : c >= 0x41 && c <= 0x46 ? c - 55 : c >= 0x61 && c <= 0x66 ? c - 87 : -1;

/** @param {string} text */
function percentDecode(text) {
  const source = native.utf8Encode(text);
  let n = 0;
  for (let i = 0; i < source.length; i++) {
    const high = source[i] === 0x25 && i + 2 < source.length ? unhex(source[i + 1]) : -1;
    const low = high >= 0 ? unhex(source[i + 2]) : -1;
    source[n++] = low >= 0 ? high * 16 + low : source[i];
    if (low >= 0) i += 2;
  }
  return source.slice(0, n);
}
