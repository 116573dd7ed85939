// Headers (Fetch standard, section 5.1): names in lower case, values as byte strings; beside a name how it is written, where that
// differs: it goes to an origin as it is written.
import {
  ArrayJoin,
  ArrayPush,
  ArraySort,
  RegExpExec,
  StringLower,
  isLatin1,
  webidlClass,
  hasOwn,
} from '../core/primordials.js';
import { pairIterable } from '../web/url.js';

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const badValue = /[\0\r\n]/;
const edges = /^[\t\n\r ]+|[\t\n\r ]+$/g;

/** What belongs to one connection, and is not the business of requests and responses (RFC 9110, section 7.6.1). */
export const connectionHeaders = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Web IDL's ByteString. @param {any} value */
function byteString(value) {
  if (typeof value === 'symbol') throw new TypeError('a symbol cannot be a header');
  const text = `${value}`;
  if (!isLatin1(text)) throw new TypeError(`"${text}" has characters that a header cannot hold`);
  return text;
}
/** @param {any} name */
function headerName(name) {
  const text = `${name}`;
  if (RegExpExec(token, text) === null) throw new TypeError(`"${text}" is no valid header name`);
  return StringLower(text);
}
/** @param {any} name as it is written @param {string} key @param {string} text @returns {Field} */
function fieldOf(name, key, text) {
  const written = `${name}`;
  return written === key ? [key, text] : [key, text, written];
}
/** @param {Field[]} list @returns {Field[]} */
export function copyFields(list) {
  /** @type {Field[]} */
  const copied = [];
  for (let i = 0; i < list.length; i++) copied[i] = [list[i][0], list[i][1], list[i][2]];
  return copied;
}
/** @param {any} value @param {string} name */
function headerValue(value, name) {
  const text = `${value}`.replace(edges, '');
  if (RegExpExec(badValue, text) !== null || !isLatin1(text))
    throw new TypeError(`The value of the header "${name}" has characters that a header cannot hold`);
  return text;
}

/** A name, its value, and the name as it is written, where that is not in lower case. @typedef {[string, string, string?]} Field */
/** The list of a Headers. @type {(headers: any) => Field[]} */
export let headerList;
/** A Headers over `list`, which it keeps. @type {(list: Field[], immutable: boolean) => Headers} */
export let wrapHeaders;
/** @type {(value: any) => boolean} */
export let isHeaders;

export class Headers {
  /** @type {Field[]} */ #list = [];
  /** @type {[string, string][] | null} */ #sorted = null;
  #immutable = false;
  static {
    headerList = (headers) => headers.#list;
    isHeaders = (value) => typeof value === 'object' && value !== null && #list in value;
    wrapHeaders = (list, immutable) => {
      const headers = new Headers();
      headers.#list = list;
      headers.#immutable = immutable;
      return headers;
    };
  }
  /** @param {any} [init] */
  constructor(init) {
    if (init === undefined) return;
    if (init === null || (typeof init !== 'object' && typeof init !== 'function'))
      throw new TypeError('Headers take an object or a list of pairs');
    const method = init[Symbol.iterator];
    if (isHeaders(init) && method === entriesOf) {
      this.#list = copyFields(init.#list);
    } else {
      // All is converted before anything is added.
      const pairs = [];
      if (method !== undefined && method !== null) {
        for (const pair of init) {
          const two = [...pair];
          if (two.length !== 2) throw new TypeError('Each header must be a name and a value');
          ArrayPush(pairs, [byteString(two[0]), byteString(two[1])]);
        }
      } else {
        for (const key of Reflect.ownKeys(init))
          if (Reflect.getOwnPropertyDescriptor(init, key)?.enumerable)
            ArrayPush(pairs, [byteString(key), byteString(init[key])]);
      }
      for (let i = 0; i < pairs.length; i++) this.append(pairs[i][0], pairs[i][1]);
    }
  }
  #change() {
    if (this.#immutable) throw new TypeError('these headers cannot be changed');
    this.#sorted = null;
  }
  /** @param {any} name @param {any} value */
  append(name, value) {
    if (arguments.length < 2) throw new TypeError('append needs a name and a value');
    name = `${name}`;
    const key = headerName(name);
    const text = headerValue(value, key);
    this.#change();
    // Of one name the first says how it is written (Fetch standard, header list append).
    for (let i = 0; name !== key && i < this.#list.length; i++)
      if (this.#list[i][0] === key) name = this.#list[i][2] ?? key;
    ArrayPush(this.#list, fieldOf(name, key, text));
  }
  /** @param {any} name */
  delete(name) {
    const key = headerName(name);
    this.#change();
    const kept = [];
    for (let i = 0; i < this.#list.length; i++) if (this.#list[i][0] !== key) ArrayPush(kept, this.#list[i]);
    this.#list = /** @type {any} */ (kept);
  }
  /** @param {any} name */
  get(name) {
    const key = headerName(name);
    const values = [];
    for (let i = 0; i < this.#list.length; i++) if (this.#list[i][0] === key) ArrayPush(values, this.#list[i][1]);
    return values.length === 0 ? null : ArrayJoin(values, ', ');
  }
  getSetCookie() {
    const values = [];
    for (let i = 0; i < this.#list.length; i++)
      if (this.#list[i][0] === 'set-cookie') ArrayPush(values, this.#list[i][1]);
    return values;
  }
  /** @param {any} name */
  has(name) {
    const key = headerName(name);
    for (let i = 0; i < this.#list.length; i++) if (this.#list[i][0] === key) return true;
    return false;
  }
  /** @param {any} name @param {any} value */
  set(name, value) {
    if (arguments.length < 2) throw new TypeError('set needs a name and a value');
    name = `${name}`;
    const key = headerName(name);
    const text = headerValue(value, key);
    this.#change();
    let found = false;
    const kept = [];
    for (let i = 0; i < this.#list.length; i++) {
      const pair = this.#list[i];
      if (pair[0] !== key) ArrayPush(kept, pair);
      else if (!found) {
        found = true;
        ArrayPush(kept, fieldOf(pair[2] ?? key, key, text));
      }
    }
    if (!found) ArrayPush(kept, fieldOf(name, key, text));
    this.#list = /** @type {any} */ (kept);
  }
  #sort() {
    if (this.#sorted !== null) return this.#sorted;
    const out = [];
    const seen = { __proto__: null };
    for (let i = 0; i < this.#list.length; i++) {
      const [name, value] = this.#list[i];
      if (name === 'set-cookie') ArrayPush(out, [name, value]);
      else if (!(/** @type {any} */ (seen)[name])) {
        /** @type {any} */ (seen)[name] = true;
        ArrayPush(out, [name, this.get(name)]);
      }
    }
    ArraySort(out, (/** @type {any} */ a, /** @type {any} */ b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    return (this.#sorted = /** @type {any} */ (out));
  }
  static {
    pairIterable(this, (self) => self.#sort());
  }
  [Symbol.for('nodejs.util.inspect.custom')](
    /** @type {any} */ _depth,
    /** @type {any} */ options,
    /** @type {any} */ inspect,
  ) {
    const shown = {};
    for (const [name, value] of this.#sort())
      /** @type {any} */ (shown)[name] = hasOwn(shown, name) ? `${/** @type {any} */ (shown)[name]}, ${value}` : value;
    return `Headers ${inspect(shown, options)}`;
  }
}
/** What a guest may have replaced in one of its own. */
const entriesOf = Headers.prototype[Symbol.iterator];
webidlClass(Headers, ['append', 'delete', 'get', 'getSetCookie', 'has', 'set']);
