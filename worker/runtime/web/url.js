// URL and URLSearchParams (WHATWG URL). Parsing is native: the parser that the broker decides with.
import {
  ArrayPush,
  ArraySort,
  StringIndexOf,
  StringSlice,
  StringStartsWith,
  toUSVString,
  webidlClass,
} from '../core/primordials.js';

const { urlParse, urlSet, utf8Encode, utf8Decode } = native;
const HREF = 0,
  PROTOCOL = 1,
  USERNAME = 2,
  PASSWORD = 3,
  HOST = 4,
  HOSTNAME = 5,
  PORT = 6,
  PATHNAME = 7,
  SEARCH = 8,
  HASH = 9,
  ORIGIN = 10;

/** @type {(params: any, url: any) => void} */
let attach;
/** @type {(params: any, query: string) => void} */
let refill;
/** @type {(url: any, query: string) => void} */
let setQuery;

/** What a URL's getters say, in the order in which Node shows them. */
const urlParts = [
  'href',
  'origin',
  'protocol',
  'username',
  'password',
  'host',
  'hostname',
  'port',
  'pathname',
  'search',
  'searchParams',
  'hash',
];

export class URL {
  /** @type {string[]} */ #parts;
  /** @type {any} */ #params;
  static {
    setQuery = (url, query) => {
      url.#parts = urlSet(url.#parts[HREF], SEARCH, query);
    };
  }
  /** @param {any} input @param {any} [base] */
  constructor(input, base) {
    if (arguments.length === 0) throw new TypeError('URL needs an input');
    const text = toUSVString(input);
    const parts = urlParse(text, base === undefined ? undefined : toUSVString(base));
    if (parts === undefined) {
      const error = /** @type {any} */ (new TypeError('Invalid URL'));
      error.code = 'ERR_INVALID_URL';
      error.input = text;
      if (base !== undefined) error.base = `${base}`;
      throw error;
    }
    this.#parts = parts;
  }
  /** @param {any} input @param {any} [base] */
  static canParse(input, base) {
    return urlParse(toUSVString(input), base === undefined ? undefined : toUSVString(base)) !== undefined;
  }
  /** @param {any} input @param {any} [base] */
  static parse(input, base) {
    return URL.canParse(input, base) ? new URL(input, base) : null;
  }
  /** @param {number} part @param {any} value */
  #set(part, value) {
    const parts = urlSet(this.#parts[HREF], part, toUSVString(value));
    if (parts === undefined) return false;
    this.#parts = parts;
    if (this.#params !== undefined && (part === HREF || part === SEARCH)) refill(this.#params, parts[SEARCH]);
    return true;
  }
  get href() {
    return this.#parts[HREF];
  }
  set href(value) {
    if (!this.#set(HREF, value)) throw new TypeError('Invalid URL');
  }
  get origin() {
    return this.#parts[ORIGIN];
  }
  get protocol() {
    return this.#parts[PROTOCOL];
  }
  set protocol(value) {
    this.#set(PROTOCOL, value);
  }
  get username() {
    return this.#parts[USERNAME];
  }
  set username(value) {
    this.#set(USERNAME, value);
  }
  get password() {
    return this.#parts[PASSWORD];
  }
  set password(value) {
    this.#set(PASSWORD, value);
  }
  get host() {
    return this.#parts[HOST];
  }
  set host(value) {
    this.#set(HOST, value);
  }
  get hostname() {
    return this.#parts[HOSTNAME];
  }
  set hostname(value) {
    this.#set(HOSTNAME, value);
  }
  get port() {
    return this.#parts[PORT];
  }
  set port(value) {
    this.#set(PORT, value);
  }
  get pathname() {
    return this.#parts[PATHNAME];
  }
  set pathname(value) {
    this.#set(PATHNAME, value);
  }
  get search() {
    return this.#parts[SEARCH];
  }
  set search(value) {
    this.#set(SEARCH, value);
  }
  get hash() {
    return this.#parts[HASH];
  }
  set hash(value) {
    this.#set(HASH, value);
  }
  get searchParams() {
    if (this.#params === undefined) {
      this.#params = new URLSearchParams(this.#parts[SEARCH]);
      attach(this.#params, this);
    }
    return this.#params;
  }
  toString() {
    return this.#parts[HREF];
  }
  toJSON() {
    return this.#parts[HREF];
  }
  [Symbol.for('nodejs.util.inspect.custom')](
    /** @type {any} */ depth,
    /** @type {any} */ options,
    /** @type {any} */ inspect,
  ) {
    if (typeof depth === 'number' && depth < 0) return this;
    const shown = { __proto__: { constructor: URL } };
    for (const name of urlParts) /** @type {any} */ (shown)[name] = /** @type {any} */ (this)[name];
    return `URL ${inspect(shown, options)}`;
  }
}
webidlClass(URL, [...urlParts, 'toString', 'toJSON'], ['canParse', 'parse']);

const hex = '0123456789ABCDEF';
/** application/x-www-form-urlencoded's percent-encode set. @param {string} text */
export function formEncode(text) {
  const bytes = utf8Encode(text);
  let out = '';
  for (let i = 0; i < bytes.length; i++) {
    const c = bytes[i];
    if (c === 0x20) out += '+';
    else if (
      (c >= 0x30 && c <= 0x39) ||
      (c >= 0x41 && c <= 0x5a) ||
      (c >= 0x61 && c <= 0x7a) ||
      c === 0x2a ||
      c === 0x2d ||
      c === 0x2e ||
      c === 0x5f
    )
      out += String.fromCharCode(c);
    else out += `%${hex[c >> 4]}${hex[c & 15]}`;
  }
  return out;
}
/** @param {number} c */
const unhex = (c) =>
  c >= 0x30 && c <= 0x39 ? c - 0x30 : c >= 0x41 && c <= 0x46 ? c - 55 : c >= 0x61 && c <= 0x66 ? c - 87 : -1;
/** @param {string} text */
function formDecode(text) {
  if (StringIndexOf(text, '%') < 0 && StringIndexOf(text, '+') < 0) return text;
  const bytes = utf8Encode(text);
  let n = 0;
  for (let i = 0; i < bytes.length; i++) {
    let c = bytes[i];
    if (c === 0x2b) c = 0x20;
    else if (c === 0x25 && i + 2 < bytes.length && unhex(bytes[i + 1]) >= 0 && unhex(bytes[i + 2]) >= 0) {
      c = unhex(bytes[i + 1]) * 16 + unhex(bytes[i + 2]);
      i += 2;
    }
    bytes[n++] = c;
  }
  return utf8Decode(new Uint8Array(bytes.buffer, 0, n), false);
}
/** @param {string} query @returns {[string, string][]} */
export function formParse(query) {
  /** @type {[string, string][]} */
  const list = [];
  for (let at = 0; at < query.length;) {
    let end = StringIndexOf(query, '&', at);
    if (end < 0) end = query.length;
    if (end > at) {
      const piece = StringSlice(query, at, end);
      const eq = StringIndexOf(piece, '=');
      ArrayPush(
        list,
        eq < 0
          ? [formDecode(piece), '']
          : [formDecode(StringSlice(piece, 0, eq)), formDecode(StringSlice(piece, eq + 1))],
      );
    }
    at = end + 1;
  }
  return list;
}

/** Makes `C` iterate over name and value pairs. @param {any} C @param {(self: any) => [any, any][]} pairsOf */
export function pairIterable(C, pairsOf) {
  const proto = Object.create(Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())));
  const state = new WeakMap();
  Object.defineProperty(proto, 'next', {
    enumerable: true,
    configurable: true,
    writable: true,
    value() {
      const s = state.get(this);
      if (s === undefined) throw new TypeError('not an iterator of this kind');
      const pairs = pairsOf(s.target);
      if (s.index >= pairs.length) return { value: undefined, done: true };
      const [key, value] = pairs[s.index++];
      return { value: s.kind === 'keys' ? key : s.kind === 'values' ? value : [key, value], done: false };
    },
  });
  Object.defineProperty(proto, Symbol.toStringTag, { value: `${C.name} Iterator`, configurable: true });
  for (const kind of ['entries', 'keys', 'values']) {
    Object.defineProperty(C.prototype, kind, {
      enumerable: true,
      configurable: true,
      writable: true,
      value: {
        [kind]() {
          pairsOf(this);
          const it = Object.create(proto);
          state.set(it, { target: this, index: 0, kind });
          return it;
        },
      }[kind],
    });
  }
  Object.defineProperty(C.prototype, Symbol.iterator, {
    value: C.prototype.entries,
    configurable: true,
    writable: true,
  });
  Object.defineProperty(C.prototype, 'forEach', {
    enumerable: true,
    configurable: true,
    writable: true,
    value: function forEach(/** @type {any} */ callback, /** @type {any} */ thisArg) {
      if (typeof callback !== 'function') throw new TypeError('forEach needs a function');
      for (let i = 0; i < pairsOf(this).length; i++) {
        const [key, value] = pairsOf(this)[i];
        callback.call(thisArg, value, key, this);
      }
    },
  });
}

export class URLSearchParams {
  /** @type {[string, string][]} */ #list = [];
  /** @type {any} */ #url;
  static {
    attach = (params, url) => {
      params.#url = url;
    };
    refill = (params, query) => {
      params.#list = formParse(StringStartsWith(query, '?') ? StringSlice(query, 1) : query);
    };
  }
  /** @param {any} [init] */
  constructor(init = '') {
    if (init === null || (typeof init !== 'object' && typeof init !== 'function')) {
      refill(this, toUSVString(init));
    } else if (init[Symbol.iterator] !== undefined && init[Symbol.iterator] !== null) {
      for (const pair of init) {
        const two = [...pair];
        if (two.length !== 2) throw new TypeError('Each query pair must be a name and a value');
        ArrayPush(this.#list, [toUSVString(two[0]), toUSVString(two[1])]);
      }
    } else {
      for (const key of Reflect.ownKeys(init)) {
        const d = Reflect.getOwnPropertyDescriptor(init, key);
        if (d?.enumerable) ArrayPush(this.#list, [toUSVString(key), toUSVString(init[key])]);
      }
    }
  }
  #update() {
    if (this.#url !== undefined) setQuery(this.#url, this.toString());
  }
  get size() {
    return this.#list.length;
  }
  append(/** @type {any} */ name, /** @type {any} */ value) {
    if (arguments.length < 2) throw new TypeError('append needs a name and a value');
    ArrayPush(this.#list, [toUSVString(name), toUSVString(value)]);
    this.#update();
  }
  delete(/** @type {any} */ name, /** @type {any} */ value) {
    name = toUSVString(name);
    const kept = [];
    for (const pair of this.#list)
      if (pair[0] !== name || (value !== undefined && pair[1] !== toUSVString(value))) ArrayPush(kept, pair);
    this.#list = /** @type {any} */ (kept);
    this.#update();
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
  has(/** @type {any} */ name, /** @type {any} */ value) {
    name = toUSVString(name);
    for (const pair of this.#list)
      if (pair[0] === name && (value === undefined || pair[1] === toUSVString(value))) return true;
    return false;
  }
  set(/** @type {any} */ name, /** @type {any} */ value) {
    if (arguments.length < 2) throw new TypeError('set needs a name and a value');
    name = toUSVString(name);
    value = toUSVString(value);
    let found = false;
    const kept = [];
    for (const pair of this.#list) {
      if (pair[0] !== name) ArrayPush(kept, pair);
      else if (!found) {
        found = true;
        ArrayPush(kept, [name, value]);
      }
    }
    if (!found) ArrayPush(kept, [name, value]);
    this.#list = /** @type {any} */ (kept);
    this.#update();
  }
  sort() {
    ArraySort(this.#list, (/** @type {any} */ a, /** @type {any} */ b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    this.#update();
  }
  [Symbol.for('nodejs.util.inspect.custom')](
    /** @type {any} */ depth,
    /** @type {any} */ options,
    /** @type {any} */ inspect,
  ) {
    if (typeof depth === 'number' && depth < 0) return options.stylize('[Object]', 'special');
    const pairs = this.#list.map((pair) => `${inspect(pair[0], options)} => ${inspect(pair[1], options)}`);
    if (pairs.length === 0) return 'URLSearchParams {}';
    const length = pairs.reduce((sum, pair) => sum + pair.replace(/\u001b\[\d\d?m/g, '').length + 2, -2);
    return length > options.breakLength
      ? `URLSearchParams {\n  ${pairs.join(',\n  ')} }`
      : `URLSearchParams { ${pairs.join(', ')} }`;
  }
  toString() {
    let out = '';
    for (let i = 0; i < this.#list.length; i++)
      out += `${i > 0 ? '&' : ''}${formEncode(this.#list[i][0])}=${formEncode(this.#list[i][1])}`;
    return out;
  }
  static {
    pairIterable(this, (self) => self.#list);
  }
}
webidlClass(URLSearchParams, ['append', 'delete', 'get', 'getAll', 'has', 'set', 'sort', 'toString', 'size']);
