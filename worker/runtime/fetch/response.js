// Response (Fetch standard, section 5.5).
import { RegExpExec, stringify, toUSVString, webidlClass } from '../core/primordials.js';
import { bodyMixin, cloneBody, extractBody, isUnusable } from './body.js';
import { Headers, copyFields, headerList, wrapHeaders } from './headers.js';
import { URL } from '../web/url.js';

const nullBody = new Set([101, 103, 204, 205, 304]);
const reason = /^[\t\x20-\x7e\x80-\xff]*$/;

/** @type {(response: any) => any} */
export let responseState;
/** @type {(value: any) => boolean} */
export let isResponse;
/** A Response as fetch gives it. @type {(state: any) => Response} */
export let makeResponse;

export class Response {
  /** @type {any} */ #state;
  static {
    responseState = (response) => response.#state;
    isResponse = (value) => typeof value === 'object' && value !== null && #state in value;
    makeResponse = (state) => {
      const response = new Response();
      response.#state = state;
      return response;
    };
  }
  /** @param {any} [body] @param {any} [init] */
  constructor(body, init) {
    if (init !== undefined && init !== null && typeof init !== 'object' && typeof init !== 'function')
      throw new TypeError('Response options must be an object');
    init ??= {};
    const status = init.status === undefined ? 200 : Number(init.status) & 0xffff;
    if (status < 200 || status > 599) throw new RangeError(`The status ${init.status} is not from 200 to 599`);
    const statusText = init.statusText === undefined ? '' : `${init.statusText}`;
    if (RegExpExec(reason, statusText) === null)
      throw new TypeError('The statusText has characters that a status line cannot hold');
    this.#state = {
      type: 'default',
      url: '',
      redirected: false,
      status,
      statusText,
      headers: new Headers(init.headers),
      body: null,
    };
    if (body !== undefined && body !== null) {
      if (nullBody.has(status)) throw new TypeError(`A response of status ${status} cannot have a body`);
      const extracted = extractBody(body);
      this.#state.body = extracted.body;
      if (extracted.type !== null && !this.#state.headers.has('content-type'))
        this.#state.headers.append('content-type', extracted.type);
    }
  }
  static error() {
    return makeResponse({
      type: 'error',
      url: '',
      redirected: false,
      status: 0,
      statusText: '',
      headers: wrapHeaders([], true),
      body: null,
    });
  }
  /** @param {any} url @param {number} [status] */
  static redirect(url, status = 302) {
    const target = new URL(toUSVString(url));
    if (![301, 302, 303, 307, 308].includes(Number(status))) throw new RangeError(`${status} is no redirect status`);
    return makeResponse({
      type: 'default',
      url: '',
      redirected: false,
      status: Number(status),
      statusText: '',
      headers: wrapHeaders([['location', target.href]], true),
      body: null,
    });
  }
  /** @param {any} data @param {any} [init] */
  static json(data, init = {}) {
    const text = stringify(data);
    if (text === undefined) throw new TypeError('The value is not JSON serializable');
    const headers = new Headers(init?.headers);
    if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    return new Response(bytesOfText(text), { status: init?.status, statusText: init?.statusText, headers });
  }
  get type() {
    return this.#state.type;
  }
  get url() {
    return this.#state.url;
  }
  get redirected() {
    return this.#state.redirected;
  }
  get status() {
    return this.#state.status;
  }
  get ok() {
    return this.#state.status >= 200 && this.#state.status <= 299;
  }
  get statusText() {
    return this.#state.statusText;
  }
  get headers() {
    return this.#state.headers;
  }
  clone() {
    const s = this.#state;
    if (s.body !== null && isUnusable(s.body)) throw new TypeError('The body of this response was read already');
    const copied = copyFields(headerList(s.headers));
    return makeResponse({ ...s, headers: wrapHeaders(copied, s.type !== 'default'), body: cloneBody(s.body) });
  }
}
bodyMixin(
  Response,
  (self) => responseState(self).body,
  (self) => responseState(self).headers.get('content-type'),
);
webidlClass(
  Response,
  ['type', 'url', 'redirected', 'status', 'ok', 'statusText', 'headers', 'clone'],
  ['error', 'redirect', 'json'],
);

/** @param {string} text */
function bytesOfText(text) {
  return native.utf8Encode(text);
}
