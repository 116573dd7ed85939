// Request (Fetch standard, section 5.4).
import { RegExpExec, StringUpper, defineProperty, webidlClass } from '../core/primordials.js';
import { dependentSignal, isSignal } from '../core/abort.js';
import { bodyMixin, cloneBody, extractBody, isUnusable, streamOf } from './body.js';
import { Headers, copyFields, headerList, wrapHeaders } from './headers.js';
import { parseReferrer, referrerPolicies } from './referrer.js';
import { TransformStream } from '../web/streams.js';
import { URL } from '../web/url.js';

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const normalized = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT']);
const forbidden = new Set(['CONNECT', 'TRACE', 'TRACK']);
const enums = {
  mode: ['navigate', 'same-origin', 'no-cors', 'cors'],
  credentials: ['omit', 'same-origin', 'include'],
  cache: ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'],
  redirect: ['follow', 'error', 'manual'],
  duplex: ['half'],
  priority: ['high', 'low', 'auto'],
  referrerPolicy: referrerPolicies,
};

/** @param {any} method */
function methodOf(method) {
  const text = `${method}`;
  if (RegExpExec(token, text) === null) throw new TypeError(`"${text}" is no valid HTTP method`);
  const upper = StringUpper(text);
  if (forbidden.has(upper)) throw new TypeError(`The method "${text}" is not allowed`);
  return normalized.has(upper) ? upper : text;
}

/** @param {any} init @param {keyof typeof enums} name @param {string} otherwise */
function enumOf(init, name, otherwise) {
  const value = init[name];
  if (value === undefined) return otherwise;
  if (!enums[name].includes(`${value}`)) throw new TypeError(`"${value}" is no value of ${name}`);
  return `${value}`;
}

/** The parts of a Request that fetch works with. @type {(request: any) => any} */
export let requestState;

/** The signal of a Request. @type {(request: any) => any} */
export let requestSignal;
/** A Request as a handler gets it. @type {(url: string, method: string, headers: any, body: any) => Request} */
export let makeRequest;

/** For the constructor: what makeRequest makes. */
const received = {};
const defaults = {
  signal: null,
  redirect: 'manual',
  mode: 'cors',
  credentials: 'same-origin',
  cache: 'default',
  integrity: '',
  keepalive: false,
  referrer: 'about:client',
  referrerPolicy: '',
  duplex: 'half',
};

export class Request {
  /** @type {any} */ #state;
  static {
    requestState = (request) => request.#state;
    requestSignal = (request) => request.#signal();
    makeRequest = (url, method, headers, body) => {
      const request = new Request(received);
      request.#state = {
        ...defaults,
        // Parsed when it is asked for.
        get url() {
          const value = new URL(url);
          defineProperty(this, 'url', { value });
          return value;
        },
        method,
        headers,
        body,
      };
      return request;
    };
  }
  /** @param {any} input @param {any} [init] */
  constructor(input, init) {
    if (input === received) return;
    if (arguments.length === 0) throw new TypeError('Request needs a URL or a Request');
    if (init !== undefined && init !== null && typeof init !== 'object' && typeof init !== 'function')
      throw new TypeError('Request options must be an object');
    init ??= {};
    const from = typeof input === 'object' && input !== null && #state in input ? input.#state : null;
    const url = from ? from.url : new URL(input, globalThis.location?.href);
    if (!from && (url.username !== '' || url.password !== ''))
      throw new TypeError('A URL with user info cannot be fetched; send an Authorization header');
    const s = (this.#state = {
      url,
      method: init.method === undefined ? (from?.method ?? 'GET') : methodOf(init.method),
      headers: /** @type {any} */ (null),
      body: /** @type {any} */ (null),
      signal: /** @type {any} */ (null),
      redirect: enumOf(init, 'redirect', from?.redirect ?? 'follow'),
      mode: enumOf(init, 'mode', from?.mode ?? 'cors'),
      credentials: enumOf(init, 'credentials', from?.credentials ?? 'same-origin'),
      cache: enumOf(init, 'cache', from?.cache ?? 'default'),
      integrity: init.integrity === undefined ? (from?.integrity ?? '') : `${init.integrity}`,
      keepalive: init.keepalive === undefined ? (from?.keepalive ?? false) : Boolean(init.keepalive),
      referrer: init.referrer === undefined ? (from?.referrer ?? 'about:client') : parseReferrer(init.referrer),
      referrerPolicy: enumOf(init, 'referrerPolicy', from?.referrerPolicy ?? ''),
      duplex: enumOf(init, 'duplex', 'half'),
    });
    enumOf(init, 'priority', 'auto'); // there is nothing that it could change
    if (s.mode === 'navigate') throw new TypeError('A request cannot have mode "navigate"');
    if (init.window !== undefined && init.window !== null) throw new TypeError('window must be null');
    s.headers =
      init.headers !== undefined
        ? new Headers(init.headers)
        : from
          ? wrapHeaders(copyFields(headerList(from.headers)), false)
          : new Headers();
    const given = init.signal === undefined ? from?.signal : init.signal;
    if (given !== undefined && given !== null && !isSignal(given)) throw new TypeError('signal must be an AbortSignal');
    s.signal = given ?? null;
    const has = init.body !== undefined && init.body !== null;
    if ((has || (from?.body && init.body === undefined)) && (s.method === 'GET' || s.method === 'HEAD'))
      throw new TypeError(`A ${s.method} request cannot have a body`);
    if (has) {
      const { body, type } = extractBody(init.body);
      if (body.stream !== null && init.duplex === undefined)
        throw new TypeError('A request with a stream as its body needs duplex: "half"');
      s.body = body;
      if (type !== null && !s.headers.has('content-type')) s.headers.append('content-type', type);
    } else if (from?.body && init.body === undefined) {
      if (isUnusable(from.body)) throw new TypeError('The body of this request was read already');
      // The new request takes the body over.
      const taken = from.body;
      s.body = { bytes: taken.bytes, net: null, stream: taken.bytes === null ? streamOf(taken) : null, used: false };
      if (s.body.stream !== null) {
        const through = s.body.stream.pipeThrough(new TransformStream());
        s.body.stream = through;
      }
      taken.used = true;
    }
  }
  get method() {
    return this.#state.method;
  }
  get url() {
    return this.#state.url.href;
  }
  get headers() {
    return this.#state.headers;
  }
  get destination() {
    return '';
  }
  get referrer() {
    const { referrer } = this.#state;
    return referrer === 'no-referrer' ? '' : referrer;
  }
  get referrerPolicy() {
    return this.#state.referrerPolicy;
  }
  get mode() {
    return this.#state.mode;
  }
  get credentials() {
    return this.#state.credentials;
  }
  get cache() {
    return this.#state.cache;
  }
  get redirect() {
    return this.#state.redirect;
  }
  get integrity() {
    return this.#state.integrity;
  }
  get keepalive() {
    return this.#state.keepalive;
  }
  get isReloadNavigation() {
    return false;
  }
  get isHistoryNavigation() {
    return false;
  }
  get duplex() {
    return this.#state.duplex;
  }
  get signal() {
    return this.#signal();
  }
  #signal() {
    const s = this.#state;
    if (s.ownSignal === undefined) {
      // A request's signal is its own and follows the one that it was given.
      s.ownSignal = dependentSignal(s.signal === null ? [] : [s.signal]);
    }
    return s.ownSignal;
  }
  clone() {
    const s = this.#state;
    if (s.body !== null && isUnusable(s.body)) throw new TypeError('The body of this request was read already');
    const request = new Request(s.url.href, { signal: s.signal });
    request.#state = {
      ...s,
      headers: wrapHeaders(copyFields(headerList(s.headers)), false),
      body: cloneBody(s.body),
      ownSignal: undefined,
    };
    return request;
  }
}
bodyMixin(
  Request,
  (self) => requestState(self).body,
  (self) => requestState(self).headers.get('content-type'),
);
webidlClass(Request, [
  'method',
  'url',
  'headers',
  'destination',
  'referrer',
  'referrerPolicy',
  'mode',
  'credentials',
  'cache',
  'redirect',
  'integrity',
  'keepalive',
  'isReloadNavigation',
  'isHistoryNavigation',
  'duplex',
  'signal',
  'clone',
]);
