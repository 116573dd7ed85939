// FormData (XMLHttpRequest standard) and its two encodings.
import { ArrayPush, concatBytes, toUSVString, webidlClass } from '../core/primordials.js';
import { File, blobBytes, isBlob } from './blob.js';
import { essenceOf, extractMimeType, parameterOf } from './mime.js';
import { formParse, pairIterable } from './url.js';

const { utf8Encode, utf8Decode, latin1Decode, random } = native;

/** @type {(value: any) => boolean} */
export let isFormData;
/** @type {(form: any) => [string, any][]} */
let listOf;

/** @param {any} value @param {any} filename */
function entryValue(value, filename) {
  if (!isBlob(value)) return toUSVString(value);
  if (value instanceof File && filename === undefined) return value;
  return new File([value], filename === undefined ? 'blob' : filename, {
    type: value.type,
    lastModified: value instanceof File ? value.lastModified : undefined,
  });
}

export class FormData {
  /** @type {[string, any][]} */ #list = [];
  static {
    isFormData = (value) => typeof value === 'object' && value !== null && #list in value;
    listOf = (form) => form.#list;
  }
  constructor(/** @type {any} */ form) {
    if (form !== undefined) throw new TypeError('FormData takes no form here: there is no document');
  }
  append(/** @type {any} */ name, /** @type {any} */ value, /** @type {any} */ filename) {
    if (arguments.length < 2) throw new TypeError('append needs a name and a value');
    if (filename !== undefined && !isBlob(value)) throw new TypeError('a file name needs a Blob');
    ArrayPush(this.#list, [toUSVString(name), entryValue(value, filename)]);
  }
  delete(/** @type {any} */ name) {
    name = toUSVString(name);
    const kept = [];
    for (const pair of this.#list) if (pair[0] !== name) ArrayPush(kept, pair);
    this.#list = /** @type {any} */ (kept);
  }
  get(/** @type {any} */ name) {
    name = toUSVString(name);
    for (const pair of this.#list) if (pair[0] === name) return pair[1];
    return null;
  }
  getAll(/** @type {any} */ name) {
    name = toUSVString(name);
    const all = [];
    for (const pair of this.#list) if (pair[0] === name) ArrayPush(all, pair[1]);
    return all;
  }
  has(/** @type {any} */ name) {
    name = toUSVString(name);
    for (const pair of this.#list) if (pair[0] === name) return true;
    return false;
  }
  set(/** @type {any} */ name, /** @type {any} */ value, /** @type {any} */ filename) {
    if (arguments.length < 2) throw new TypeError('set needs a name and a value');
    name = toUSVString(name);
    const entry = entryValue(value, filename);
    let found = false;
    const kept = [];
    for (const pair of this.#list) {
      if (pair[0] !== name) ArrayPush(kept, pair);
      else if (!found) {
        found = true;
        ArrayPush(kept, [name, entry]);
      }
    }
    if (!found) ArrayPush(kept, [name, entry]);
    this.#list = /** @type {any} */ (kept);
  }
  static {
    pairIterable(this, (self) => self.#list);
  }
}
webidlClass(FormData, ['append', 'delete', 'get', 'getAll', 'has', 'set']);

/** @param {string} name */
const escapeName = (name) =>
  name
    .replace(/\r\n?|\n/g, '\r\n')
    .replace(/\n/g, '%0A')
    .replace(/\r/g, '%0D')
    .replace(/"/g, '%22');

/** multipart/form-data (RFC 7578). @param {any} form @returns {{bytes: Uint8Array, type: string}} */
export function encodeMultipart(form) {
  const salt = new Uint8Array(16);
  random(salt);
  let boundary = '----postern';
  for (let i = 0; i < 16; i++) boundary += (salt[i] + 256).toString(16).slice(1);
  const pieces = [];
  const add = (/** @type {Uint8Array} */ bytes) => ArrayPush(pieces, bytes);
  for (const [name, value] of listOf(form)) {
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${escapeName(name)}"`;
    if (typeof value === 'string') {
      add(utf8Encode(`${head}\r\n\r\n${value.replace(/\r\n?|\n/g, '\r\n')}\r\n`));
    } else {
      head += `; filename="${escapeName(value.name)}"\r\nContent-Type: ${value.type || 'application/octet-stream'}\r\n\r\n`;
      add(utf8Encode(head));
      add(blobBytes(value));
      add(utf8Encode('\r\n'));
    }
  }
  add(utf8Encode(`--${boundary}--\r\n`));
  return { bytes: concatBytes(pieces), type: `multipart/form-data; boundary=${boundary}` };
}

/** @param {Uint8Array} bytes @param {string | null} type the Content-Type @returns {FormData} */
export function decodeForm(bytes, type) {
  const mime = extractMimeType(type);
  const essence = mime === null ? '' : essenceOf(mime);
  if (essence === 'application/x-www-form-urlencoded') {
    const form = new FormData(undefined);
    for (const pair of formParse(utf8Decode(bytes, false))) ArrayPush(listOf(form), pair);
    return form;
  }
  const boundary = mime === null ? undefined : parameterOf(mime, 'boundary');
  if (essence !== 'multipart/form-data' || boundary === undefined)
    throw new TypeError(`The body is no form: its Content-Type is "${type ?? ''}"`);
  return decodeMultipart(bytes, boundary);
}

/** @param {Uint8Array} bytes @param {string} boundary */
function decodeMultipart(bytes, boundary) {
  const bad = () => new TypeError('The body is no valid multipart/form-data');
  const text = latin1Decode(bytes); // positions are bytes
  const form = new FormData(undefined);
  const mark = `--${boundary}`;
  let at = text.indexOf(mark);
  if (at < 0) throw bad();
  at += mark.length;
  for (;;) {
    if (text.startsWith('--', at)) return form;
    if (!text.startsWith('\r\n', at)) throw bad();
    at += 2;
    const headEnd = text.indexOf('\r\n\r\n', at);
    const next = headEnd < 0 ? -1 : text.indexOf(`\r\n${mark}`, headEnd + 2);
    if (next < 0) throw bad();
    let name,
      filename,
      type = 'text/plain';
    for (const line of utf8Decode(bytes.subarray(at, headEnd), false).split('\r\n')) {
      const colon = line.indexOf(':');
      const field = line.slice(0, colon).trim().toLowerCase();
      const value = line.slice(colon + 1).trim();
      if (field === 'content-type') type = value;
      if (field !== 'content-disposition') continue;
      const unescape = (/** @type {string | undefined} */ s) =>
        s === undefined ? s : s.replace(/%22/g, '"').replace(/%0D/gi, '\r').replace(/%0A/gi, '\n');
      name = unescape(/;\s*name="([^"]*)"/i.exec(value)?.[1]);
      filename = unescape(/;\s*filename="([^"]*)"/i.exec(value)?.[1]);
    }
    if (name === undefined) throw bad();
    const content = bytes.subarray(Math.min(headEnd + 4, next), next);
    if (filename === undefined) form.append(name, utf8Decode(content, false), undefined);
    else form.append(name, new File([content], filename, { type }), undefined);
    at = next + 2 + mark.length;
  }
}
