// fetch (Fetch standard, section 4), over the channel to the net broker. Every call settles: the broker,
// the channel's C++ side and the redirect limit each have a last word.
import {
  ArrayPush,
  MapDelete,
  MapGet,
  MapSet,
  StringSlice,
  StringStartsWith,
  isLatin1,
  withResolvers,
} from './primordials.js';
import { onAbort } from './abort.js';
import { bytesBody, isUnusable, netBody, streamOf } from './body.js';
import { headerList, wrapHeaders } from './headers.js';
import { Request, requestState } from './request.js';
import { makeResponse } from './response.js';
import { ReadableStream } from './streams.js';
import { URL } from './url.js';

const { netFetch, netWrite, netEndWrite, netRead, netCollect, netCancel } = native;
const nullBodyStatus = (/** @type {number} */ status) =>
  status === 204 || status === 205 || status === 304 || status === 101;
const redirects = new Set([301, 302, 303, 307, 308]);
// What fetch decides itself, or what belongs to one connection: a guest's own are left out, as browsers do.
const connectionHeaders = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const bodyHeaders = new Set([
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
  'content-length',
]);

/** @typedef {{code: string, message: string, error: string}} Failure */
/**
 * One exchange on the channel.
 * @typedef {{id: number, settle: Function, readable: Function | null, collected: Function | null, writable: Function | null,
 *   failed: ((error: any) => void) | null, failure: any}} Exchange
 */
/** @type {Map<number, Exchange>} */
const exchanges = new Map();
let nextId = 1;
let maxRedirects = 20;
export function setMaxRedirects(/** @type {number} */ n) {
  maxRedirects = n;
}

/** @param {Failure} failure */
function fetchError(failure) {
  const cause = /** @type {any} */ (new Error(failure.message));
  cause.code = failure.code;
  return new TypeError(`fetch failed: ${failure.message}`, { cause });
}

// ---- called by the channel's C++ side

export function netResponse(
  /** @type {number} */ id,
  /** @type {number} */ status,
  /** @type {string} */ statusText,
  /** @type {string[]} */ fields,
) {
  MapGet(exchanges, id)?.settle({ status, statusText, fields });
}
export function netReadable(/** @type {number} */ id) {
  MapGet(exchanges, id)?.readable?.();
}
export function netCollected(/** @type {number} */ id, /** @type {Uint8Array} */ bytes) {
  const e = MapGet(exchanges, id);
  MapDelete(exchanges, id);
  e?.collected?.(bytes);
}
export function netWritable(/** @type {number} */ id) {
  MapGet(exchanges, id)?.writable?.();
}
export function netFailure(
  /** @type {number} */ id,
  /** @type {string} */ code,
  /** @type {string} */ message,
  /** @type {string} */ error,
) {
  const e = MapGet(exchanges, id);
  if (e === undefined) return;
  fail(e, { code, message, error });
}

/** @param {Exchange} e @param {any} failure a Failure, or {reason} of an abort */
function fail(e, failure) {
  MapDelete(exchanges, e.id);
  e.failure = failure;
  e.settle({ failure });
  e.failed?.(errorOf(failure));
  e.writable?.();
}
/** @param {any} failure */
const errorOf = (failure) => ('reason' in failure ? failure.reason : fetchError(failure));

/** @param {Exchange} e @param {any} reason */
function abort(e, reason) {
  if (MapGet(exchanges, e.id) !== e) return;
  netCancel(e.id);
  fail(e, { reason });
}

// A response that is dropped unread must not hold its stream for ever.
/** @type {FinalizationRegistry<Exchange> | undefined} */
let unread;

/** The body of a response, still on the channel. */
class NetBody {
  #exchange;
  /** @param {Exchange} exchange */
  constructor(exchange) {
    this.#exchange = exchange;
    unread ??= new FinalizationRegistry((e) => abort(e, new TypeError('The response was dropped')));
    unread.register(this, exchange, this);
  }
  /** All of it. @returns {Promise<Uint8Array>} */
  async collect() {
    const e = this.#exchange;
    unread?.unregister(this);
    if (e.failure) throw errorOf(e.failure);
    const { promise, resolve } = withResolvers();
    e.collected = (/** @type {Uint8Array} */ bytes) => resolve({ bytes });
    e.failed = () => resolve({});
    netCollect(e.id);
    const { bytes } = await promise;
    if (bytes === undefined) throw errorOf(e.failure);
    return bytes;
  }
  stream() {
    const e = this.#exchange;
    unread?.unregister(this);
    return new ReadableStream(
      {
        type: 'bytes',
        start(controller) {
          if (e.failure) controller.error(errorOf(e.failure));
          e.failed = (error) => {
            e.readable?.();
            try {
              controller.error(error);
            } catch {
              /* closed already */
            }
          };
        },
        async pull(controller) {
          for (;;) {
            if (e.failure) return;
            const piece = netRead(e.id);
            if (piece === undefined) {
              MapDelete(exchanges, e.id);
              controller.close();
              /** @type {any} */ (controller).byobRequest?.respond(0);
              return;
            }
            if (piece !== null) return controller.enqueue(piece);
            const { promise, resolve } = withResolvers();
            e.readable = resolve;
            await promise;
            e.readable = null;
          }
        },
        cancel() {
          MapDelete(exchanges, e.id);
          netCancel(e.id);
        },
      },
      { highWaterMark: 0 },
    );
  }
}

/** Writes a stream as the request's body. @param {Exchange} e @param {any} stream */
async function upload(e, stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (e.failure || MapGet(exchanges, e.id) !== e) {
        await reader.cancel(e.failure ? errorOf(e.failure) : undefined);
        return;
      }
      if (done) return netEndWrite(e.id);
      if (!(value instanceof Uint8Array)) throw new TypeError('A body stream must give Uint8Array chunks');
      if (netWrite(e.id, value) > 0) {
        const { promise, resolve } = withResolvers();
        e.writable = resolve;
        await promise;
        e.writable = null;
      }
    }
  } catch (error) {
    reader.cancel(error).catch(() => {});
    abort(e, error);
  }
}

/** @param {[string, string][]} list @param {string} name */
function has(list, name) {
  for (let i = 0; i < list.length; i++) if (list[i][0] === name) return true;
  return false;
}

/** One hop. @param {URL} url @param {string} method @param {[string, string][]} headers @param {any} body @param {any} signal */
async function exchange(url, method, headers, body, signal) {
  const flat = [
    ':method',
    method,
    ':scheme',
    StringSlice(url.protocol, 0, -1),
    ':authority',
    url.host,
    ':path',
    url.pathname + url.search,
  ];
  for (let i = 0; i < headers.length; i++) {
    if (!connectionHeaders.has(headers[i][0])) ArrayPush(flat, headers[i][0], headers[i][1]);
  }
  if (!has(headers, 'accept')) ArrayPush(flat, 'accept', '*/*');
  if (!has(headers, 'accept-encoding')) ArrayPush(flat, 'accept-encoding', 'gzip, deflate, br, zstd');
  if (!has(headers, 'user-agent')) ArrayPush(flat, 'user-agent', 'Postern');
  const { promise, resolve } = withResolvers();
  /** @type {Exchange} */
  const e = {
    id: nextId++,
    settle: resolve,
    readable: null,
    collected: null,
    writable: null,
    failed: null,
    failure: null,
  };
  MapSet(exchanges, e.id, e);
  const unlisten = signal === null ? null : onAbort(signal, (/** @type {any} */ reason) => abort(e, reason));
  if (body === null) {
    netFetch(e.id, flat, undefined);
  } else if (body.bytes !== null) {
    ArrayPush(flat, 'content-length', `${body.bytes.length}`);
    netFetch(e.id, flat, body.bytes);
  } else {
    netFetch(e.id, flat, true);
    upload(e, body.stream);
  }
  const outcome = await promise;
  if (outcome.failure) {
    unlisten?.();
    throw errorOf(outcome.failure);
  }
  return { ...outcome, e };
}

/** @param {any} input @param {any} [init] */
export async function fetch(input, init) {
  const request = new Request(input, init);
  const s = requestState(request);
  const signal = s.signal;
  if (signal?.aborted) throw signal.reason;
  let url = s.url;
  if (url.protocol === 'data:') return dataResponse(url);
  /** @type {[string, string][]} */
  let headers = headerList(s.headers);
  let method = s.method;
  let body = s.body;
  if (body !== null) {
    if (isUnusable(body)) throw new TypeError('The body of this request was read already');
    body.used = true;
    if (body.bytes === null) streamOf(body);
  }
  for (let hops = 0; ; hops++) {
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw fetchError({
        code: 'ERR_UNSUPPORTED_SCHEME',
        message: `the scheme "${url.protocol}" cannot be fetched; use http: or https:`,
        error: '',
      });
    }
    const { status, statusText, fields, e } = await exchange(url, method, headers, body, signal);
    /** @type {[string, string][]} */
    const list = [];
    let location = null;
    for (let i = 0; i < fields.length; i += 2) {
      ArrayPush(list, [fields[i], fields[i + 1]]);
      if (fields[i] === 'location') location = fields[i + 1];
    }
    if (location === null || !redirects.has(status) || s.redirect === 'manual') {
      const empty = nullBodyStatus(status) || method === 'HEAD';
      if (empty) (MapDelete(exchanges, e.id), netCancel(e.id));
      return makeResponse({
        type: 'basic',
        url: withoutHash(url),
        redirected: hops > 0,
        status,
        statusText,
        headers: wrapHeaders(list, true),
        body: empty ? null : netBody(new NetBody(e)),
      });
    }
    MapDelete(exchanges, e.id);
    netCancel(e.id);
    const failed = (/** @type {string} */ code, /** @type {string} */ message) =>
      fetchError({ code, message, error: '' });
    if (s.redirect === 'error')
      throw failed('ERR_REDIRECT', `${url.host} redirects to ${location}, and redirect is "error"`);
    if (hops >= maxRedirects) throw failed('ERR_LIMIT', `more than ${maxRedirects} redirects (redirects)`);
    const next = URL.parse(utf8Location(location), url.href);
    if (next === null) throw failed('ERR_REDIRECT', `${url.host} redirects to what is no URL: ${location}`);
    if (next.protocol !== 'http:' && next.protocol !== 'https:')
      throw failed('ERR_REDIRECT', `${url.host} redirects to the scheme "${next.protocol}"`);
    if (next.username !== '' || next.password !== '')
      throw failed('ERR_REDIRECT', `${url.host} redirects to a URL with user info`);
    if (next.hash === '') next.hash = url.hash;
    if (status !== 303 && body !== null && body.bytes === null)
      throw failed('ERR_REDIRECT', `${url.host} redirects, and a streamed body cannot be sent again`);
    if (
      ((status === 301 || status === 302) && method === 'POST') ||
      (status === 303 && method !== 'GET' && method !== 'HEAD')
    ) {
      method = 'GET';
      body = null;
      headers = headers.filter(([name]) => !bodyHeaders.has(name));
    }
    if (next.origin !== url.origin)
      headers = headers.filter(
        ([name]) => name !== 'authorization' && name !== 'cookie' && name !== 'proxy-authorization',
      );
    url = next;
  }
}

/** Locations are bytes that mean UTF-8. @param {string} text */
function utf8Location(text) {
  if (!isLatin1(text)) return text;
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return native.utf8Decode(bytes, false);
}

/** @param {URL} url */
const withoutHash = (url) => (url.hash === '' ? url.href : StringSlice(url.href, 0, url.href.length - url.hash.length));

/** RFC 2397, as the Fetch standard's data: URL processor reads it. @param {URL} url */
function dataResponse(url) {
  const href = withoutHash(url);
  const comma = href.indexOf(',');
  const bad = () => fetchError({ code: 'ERR_INVALID_URL', message: 'the data: URL is malformed', error: '' });
  if (comma < 0) throw bad();
  let type = href.slice(5, comma).trim();
  let bytes = percentDecode(href.slice(comma + 1));
  if (/; *base64$/i.test(type)) {
    type = type.replace(/; *base64$/i, '');
    const text = native.atob(native.latin1Decode(bytes));
    if (text === undefined) throw bad();
    bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  }
  if (StringStartsWith(type, ';')) type = `text/plain${type}`;
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+/.test(type)) type = 'text/plain;charset=US-ASCII';
  return makeResponse({
    type: 'basic',
    url: href,
    redirected: false,
    status: 200,
    statusText: 'OK',
    headers: wrapHeaders([['content-type', type]], true),
    body: bytesBody(bytes),
  });
}
/** @param {string} text */
function percentDecode(text) {
  const source = native.utf8Encode(text);
  let n = 0;
  for (let i = 0; i < source.length; i++) {
    const two = source[i] === 0x25 ? Number.parseInt(native.latin1Decode(source.subarray(i + 1, i + 3)), 16) : NaN;
    const hex = source[i] === 0x25 && /^[0-9a-f]{2}$/i.test(native.latin1Decode(source.subarray(i + 1, i + 3)));
    source[n++] = hex ? two : source[i];
    if (hex) i += 2;
  }
  return source.slice(0, n);
}
