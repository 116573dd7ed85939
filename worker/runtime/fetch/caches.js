// CacheStorage and Cache (Service Workers, section 5), in memory: what a guest keeps itself, for as long as it lives. fetch does
// not look here.
import { ArrayPush, MapDelete, MapGet, MapSet, StringLower, webidlClass } from '../core/primordials.js';
import { bytesBody, consume } from './body.js';
import { fetch } from './fetch.js';
import { headerList, wrapHeaders } from './headers.js';
import { Request, requestState } from './request.js';
import { isResponse, makeResponse, responseState } from './response.js';

const token = {};

/** @typedef {{request: any, response: any, bytes: Uint8Array | null}} Entry `response`: a state without its body, which `bytes` has */

/** @param {any} input */
const requestOf = (input) => (typeof input === 'object' && requestLike(input) ? input : new Request(input));
/** @param {any} value */
function requestLike(value) {
  try {
    return requestState(value) !== undefined;
  } catch {
    return false;
  }
}
/** @param {any} url @param {boolean} search */
const keyOf = (url, search) => `${url.origin}${url.pathname}${search ? url.search : ''}`;

/** @param {Entry} entry @param {any} request @param {any} options */
function matches(entry, request, options) {
  if (requestState(request).method !== 'GET' && !options?.ignoreMethod) return false;
  const search = !options?.ignoreSearch;
  if (keyOf(requestState(entry.request).url, search) !== keyOf(requestState(request).url, search)) return false;
  if (options?.ignoreVary) return true;
  const vary = entry.response.headers.get('vary');
  if (vary === null) return true;
  for (const field of vary.split(',')) {
    const name = StringLower(field.trim());
    if (name === '*' || entry.request.headers.get(name) !== request.headers.get(name)) return false;
  }
  return true;
}

/** @param {Entry} entry */
function responseFrom(entry) {
  /** @type {[string, string][]} */
  const list = [];
  for (const [name, value] of headerList(entry.response.headers)) ArrayPush(list, [name, value]);
  const body = entry.bytes === null ? null : bytesBody(entry.bytes.slice());
  return makeResponse({ ...entry.response, headers: wrapHeaders(list, true), body });
}

export class Cache {
  /** @type {Entry[]} */ #entries = [];
  /** @param {any} given */
  constructor(given) {
    if (given !== token) throw new TypeError('Illegal constructor');
  }
  /** @param {any} request @param {any} [options] */
  async match(request, options) {
    return (await this.matchAll(request, options))[0];
  }
  /** @param {any} [request] @param {any} [options] */
  async matchAll(request, options) {
    const wanted = request === undefined ? undefined : requestOf(request);
    return this.#entries
      .filter((entry) => wanted === undefined || matches(entry, wanted, options))
      .map((entry) => responseFrom(entry));
  }
  /** @param {any} request @param {any} [options] */
  async keys(request, options) {
    const wanted = request === undefined ? undefined : requestOf(request);
    return this.#entries
      .filter((entry) => wanted === undefined || matches(entry, wanted, options))
      .map((entry) => entry.request);
  }
  /** @param {any} request @param {any} [options] */
  async delete(request, options) {
    const wanted = requestOf(request);
    const kept = this.#entries.filter((entry) => !matches(entry, wanted, options));
    const found = kept.length < this.#entries.length;
    this.#entries = kept;
    return found;
  }
  /** @param {any} request @param {any} response */
  async put(request, response) {
    const wanted = requestOf(request);
    const { method, url } = requestState(wanted);
    if (method !== 'GET' || (url.protocol !== 'http:' && url.protocol !== 'https:'))
      throw new TypeError('A cache keeps GET requests of http: and https: only');
    if (!isResponse(response)) throw new TypeError('put needs a Response');
    const state = responseState(response);
    if (state.status === 206) throw new TypeError('A cache keeps no partial content');
    if ((response.headers.get('vary') ?? '').split(',').some((name) => name.trim() === '*'))
      throw new TypeError('A response that varies by everything cannot be kept');
    const bytes = state.body === null ? null : (await consume(state.body)).bytes;
    const kept = new Request(url.href, { headers: wanted.headers });
    this.#entries = this.#entries.filter((entry) => !matches(entry, kept, undefined));
    ArrayPush(this.#entries, { request: kept, response: { ...state, body: null }, bytes });
  }
  /** @param {any} request */
  async add(request) {
    await this.addAll([request]);
  }
  /** @param {any} requests */
  async addAll(requests) {
    const list = [...requests].map(requestOf);
    const responses = [];
    for (const request of list) ArrayPush(responses, fetch(request));
    const got = await Promise.all(responses);
    for (let i = 0; i < list.length; i++)
      if (!got[i].ok) throw new TypeError(`${list[i].url} answered ${got[i].status}: it is not kept`);
    for (let i = 0; i < list.length; i++) await this.put(list[i], got[i]);
  }
}
webidlClass(Cache, ['match', 'matchAll', 'keys', 'delete', 'put', 'add', 'addAll']);

export class CacheStorage {
  /** @type {Map<string, Cache>} */ #caches = new Map();
  /** @param {any} given */
  constructor(given) {
    if (given !== token) throw new TypeError('Illegal constructor');
  }
  /** @param {any} name */
  async open(name) {
    const cache = MapGet(this.#caches, `${name}`) ?? new Cache(token);
    MapSet(this.#caches, `${name}`, cache);
    return cache;
  }
  /** @param {any} name */
  async has(name) {
    return MapGet(this.#caches, `${name}`) !== undefined;
  }
  /** @param {any} name */
  async delete(name) {
    return MapDelete(this.#caches, `${name}`);
  }
  async keys() {
    return [...this.#caches.keys()];
  }
  /** @param {any} request @param {any} [options] {cacheName, …} */
  async match(request, options) {
    for (const [name, cache] of this.#caches) {
      if (options?.cacheName !== undefined && `${options.cacheName}` !== name) continue;
      const response = await cache.match(request, options);
      if (response !== undefined) return response;
    }
    return undefined;
  }
}
webidlClass(CacheStorage, ['open', 'has', 'delete', 'keys', 'match']);
export const caches = new CacheStorage(token);
