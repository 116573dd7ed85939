// fetch (Fetch standard, section 4), over the channel to the net broker. Every call settles: the broker,
// the channel's C++ side and the redirect limit each have a last word.
import { ArrayPush, RegExpExec, StringIndexOf, StringSlice, isLatin1 } from '../core/primordials.js';
import { onAbort } from '../core/abort.js';
import { blobBytes } from '../web/blob.js';
import { readDataUrl } from '../web/data_url.js';
import { blobOfUrl } from '../web/object_url.js';
import { bytesBody, consume, isUnusable, netBody, streamOf } from './body.js';
import { matchesIntegrity } from './integrity.js';
import { policyOf, refererFor } from './referrer.js';
import { connectionHeaders, headerList, wrapHeaders } from './headers.js';
import { NetBody, abortExchange, dropExchange, errorOf, netError, openExchange, upload } from './exchange.js';
import { Request, requestState } from './request.js';
import { makeResponse } from './response.js';
import { URL } from '../web/url.js';

const nullBodyStatus = (/** @type {number} */ status) =>
  status === 204 || status === 205 || status === 304 || status === 101;
const redirects = new Set([301, 302, 303, 307, 308]);
// What fetch decides itself: a guest's own are left out, as those of the connection are, and as browsers do.
const ownHeaders = new Set(['content-length', 'expect', 'host', 'http2-settings']);
/** Whether a header of the guest's is sent. @param {string} name */
export const isSent = (name) => !connectionHeaders.has(name) && !ownHeaders.has(name);
/** What makes a request conditional: its answer is for who has a copy, and is no copy for caches on the way. */
const conditions = ['if-modified-since', 'if-none-match', 'if-unmodified-since', 'if-match', 'if-range'];
const bodyHeaders = new Set([
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
  'content-length',
]);

// Headers may hold these; a request cannot carry them (RFC 9110, section 5.5).
const controls = /[\x01-\x08\x0b-\x1f\x7f]/;

/** What goes to one origin only. */
const credentialHeaders = new Set(['authorization', 'cookie', 'proxy-authorization']);

let maxRedirects = 20;
export function setMaxRedirects(/** @type {number} */ n) {
  maxRedirects = n;
}

/** @param {import('./headers.js').Field[]} list @param {string} name */
function has(list, name) {
  for (let i = 0; i < list.length; i++) if (list[i][0] === name) return true;
  return false;
}

/** @param {string} code @param {string} message */
const fetchError = (code, message) => netError({ code, message, error: '' });

/** The target of a URL's request: with the "?" of an empty query, which `search` does not have. @param {URL} url */
export function targetOf(url) {
  if (url.search !== '') return url.pathname + url.search;
  const href = withoutHash(url);
  return StringSlice(href, -1) === '?' ? `${url.pathname}?` : url.pathname;
}

/** Appends a guest's headers. @param {string[]} flat @param {import('./headers.js').Field[]} headers @param {string} [what] */
export function appendHeaders(flat, headers, what) {
  let written = '';
  let cookies = '';
  for (let i = 0; i < headers.length; i++) {
    const [name, value, original] = headers[i];
    if (!isSent(name)) continue;
    if (RegExpExec(controls, value) !== null)
      throw netError(
        {
          code: 'ERR_INVALID_HEADER',
          message: `the value of the header "${name}" has a control character, which cannot be sent`,
          error: '',
        },
        what,
      );
    // One field has them all (RFC 6265, section 5.4).
    if (name === 'cookie') cookies += (cookies === '' ? '' : '; ') + value;
    else ArrayPush(flat, name, value);
    if (original !== undefined) written += (written === '' ? '' : ',') + original;
  }
  if (cookies !== '') ArrayPush(flat, 'cookie', cookies);
  if (written !== '') ArrayPush(flat, 'postern-names', written);
}

/** What goes for a cache mode (Fetch standard, HTTP-network-or-cache fetch, steps 17 to 19). @param {string[]} flat @param {import('./headers.js').Field[]} headers @param {string} cache */
function appendCacheMode(flat, headers, cache) {
  if (cache === 'default')
    for (let i = 0; i < conditions.length; i++) if (has(headers, conditions[i])) cache = 'no-store';
  const fresh = cache === 'no-store' || cache === 'reload';
  if (!fresh && cache !== 'no-cache') return;
  if (fresh && !has(headers, 'pragma')) ArrayPush(flat, 'pragma', 'no-cache');
  if (!has(headers, 'cache-control')) ArrayPush(flat, 'cache-control', fresh ? 'no-cache' : 'max-age=0');
}

/** One hop. @param {URL} url @param {string} method @param {import('./headers.js').Field[]} headers @param {string | null} referer @param {string} cache @param {any} body @param {any} signal */
async function exchange(url, method, headers, referer, cache, body, signal) {
  const flat = [
    ':method',
    method,
    ':scheme',
    StringSlice(url.protocol, 0, -1),
    ':authority',
    url.host,
    ':path',
    targetOf(url),
  ];
  appendHeaders(flat, headers);
  if (referer !== null) ArrayPush(flat, 'referer', referer);
  if (!has(headers, 'accept')) ArrayPush(flat, 'accept', '*/*');
  if (!has(headers, 'accept-language')) ArrayPush(flat, 'accept-language', '*');
  // A part of a coded body cannot be decoded.
  if (has(headers, 'range')) ArrayPush(flat, 'accept-encoding', 'identity');
  else if (!has(headers, 'accept-encoding')) ArrayPush(flat, 'accept-encoding', 'gzip, deflate, br, zstd');
  if (!has(headers, 'user-agent')) ArrayPush(flat, 'user-agent', 'Postern');
  appendCacheMode(flat, headers, cache);
  const whole = body !== null && body.bytes !== null;
  if (whole) ArrayPush(flat, 'content-length', `${body.bytes.length}`);
  const { e, promise } = openExchange(flat, body === null ? null : whole ? body.bytes : true);
  if (signal !== null) e.over = onAbort(signal, (/** @type {any} */ reason) => abortExchange(e, reason));
  if (body !== null && !whole) upload(e, body.stream).catch((error) => abortExchange(e, error));
  const outcome = await promise;
  if (outcome.failure) throw errorOf(e);
  return { __proto__: null, ...outcome, e };
}

/** @param {any} input @param {any} [init] */
export async function fetch(input, init) {
  const request = new Request(input, init);
  const s = requestState(request);
  const signal = s.signal;
  if (signal?.aborted) throw signal.reason;
  let url = s.url;
  if (url.protocol === 'data:') return dataResponse(withoutHash(url), s.method);
  if (url.protocol === 'blob:') return blobResponse(url.href, s);
  /** @type {import('./headers.js').Field[]} */
  let headers = headerList(s.headers);
  let method = s.method;
  let body = s.body;
  let { referrerPolicy } = s;
  if (body !== null) {
    if (isUnusable(body)) throw new TypeError('The body of this request was read already');
    body.used = true;
    if (body.bytes === null) streamOf(body);
  }
  for (let hops = 0; ; hops++) {
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw fetchError('ERR_UNSUPPORTED_SCHEME', `the scheme "${url.protocol}" cannot be fetched; use http: or https:`);
    const referer = has(headers, 'referer') ? null : refererFor(s.referrer, referrerPolicy, url);
    const { status, statusText, fields, e } = await exchange(url, method, headers, referer, s.cache, body, signal);
    /** @type {[string, string][]} */
    const list = [];
    let location = null,
      places = 0,
      coded = false;
    for (let i = 0; i < fields.length; i += 2) {
      ArrayPush(list, [fields[i], fields[i + 1]]);
      if (fields[i] === 'content-encoding') coded = true;
      if (fields[i] === 'location' && fields[i + 1] !== location) {
        location = fields[i + 1];
        places++;
      }
    }
    if (location === null || !redirects.has(status) || s.redirect === 'manual') {
      const empty = nullBodyStatus(status) || method === 'HEAD';
      if (empty) dropExchange(e);
      let received = empty ? null : netBody(new NetBody(e, coded));
      if (s.integrity !== '') {
        const { bytes } = await consume(received);
        if (!matchesIntegrity(bytes, s.integrity))
          throw fetchError('ERR_INTEGRITY', `what ${url.host} sent is not what integrity "${s.integrity}" names`);
        if (received !== null) received = bytesBody(bytes);
      }
      return makeResponse({
        type: 'basic',
        url: withoutHash(url),
        redirected: hops > 0,
        status,
        statusText,
        headers: wrapHeaders(list, true),
        body: received,
      });
    }
    dropExchange(e);
    if (s.redirect === 'error')
      throw fetchError('ERR_REDIRECT', `${url.host} redirects to ${location}, and redirect is "error"`);
    if (places > 1) throw fetchError('ERR_REDIRECT', `${url.host} redirects to ${places} places at once`);
    if (hops >= maxRedirects) throw fetchError('ERR_LIMIT', `more than ${maxRedirects} redirects (redirects)`);
    for (const [name, value] of list) if (name === 'referrer-policy') referrerPolicy = policyOf(value, referrerPolicy);
    const next = URL.parse(utf8Location(location), url.href);
    if (next === null) throw fetchError('ERR_REDIRECT', `${url.host} redirects to what is no URL: ${location}`);
    if (next.protocol !== 'http:' && next.protocol !== 'https:')
      throw fetchError('ERR_REDIRECT', `${url.host} redirects to the scheme "${next.protocol}"`);
    if (next.username !== '' || next.password !== '')
      throw fetchError('ERR_REDIRECT', `${url.host} redirects to a URL with user info`);
    if (next.hash === '') next.hash = url.hash;
    if (status !== 303 && body !== null && body.bytes === null)
      throw fetchError('ERR_REDIRECT', `${url.host} redirects, and a streamed body cannot be sent again`);
    if (
      ((status === 301 || status === 302) && method === 'POST') ||
      (status === 303 && method !== 'GET' && method !== 'HEAD')
    ) {
      method = 'GET';
      body = null;
      headers = headers.filter((field) => !bodyHeaders.has(field[0]));
    }
    if (next.origin !== url.origin) headers = headers.filter((field) => !credentialHeaders.has(field[0]));
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
function withoutHash(url) {
  const hash = StringIndexOf(url.href, '#');
  return hash < 0 ? url.href : StringSlice(url.href, 0, hash);
}

/** @param {string} href @param {string} method */
function dataResponse(href, method) {
  const data = readDataUrl(href);
  if (data === null) throw fetchError('ERR_INVALID_URL', 'the data: URL is malformed');
  return makeResponse({
    type: 'basic',
    url: href,
    redirected: false,
    status: 200,
    statusText: 'OK',
    headers: wrapHeaders([['content-type', data.type]], true),
    body: bytesBody(method === 'HEAD' ? new Uint8Array(0) : data.bytes),
  });
}

const oneRange = /^bytes[\t ]*=[\t ]*([0-9]*)[\t ]*-[\t ]*([0-9]*)$/;

/** Fetch standard, scheme fetch of "blob". @param {string} href @param {any} s the request's state */
function blobResponse(href, s) {
  const blob = blobOfUrl(href);
  if (blob === undefined || s.method !== 'GET')
    throw fetchError(
      'ERR_INVALID_URL',
      blob === undefined ? `there is no Blob ${href}` : 'a blob: URL is for GET only',
    );
  let bytes = blobBytes(blob);
  const total = bytes.length;
  /** @type {[string, string][]} */
  const list = [];
  const range = s.headers.get('range');
  if (range !== null) {
    const [, first, last] = RegExpExec(oneRange, range) ?? [];
    if (first === undefined || (first === '' && last === ''))
      throw fetchError('ERR_INVALID_URL', `the range "${range}" is malformed`);
    const from = first === '' ? Math.max(total - Number(last), 0) : Number(first);
    const to = first === '' || last === '' ? total - 1 : Math.min(Number(last), total - 1);
    if (from >= total || from > to) throw fetchError('ERR_INVALID_URL', `the Blob has no range "${range}"`);
    bytes = bytes.subarray(from, to + 1);
    ArrayPush(list, ['content-range', `bytes ${from}-${to}/${total}`]);
  }
  ArrayPush(list, ['content-length', `${bytes.length}`]);
  ArrayPush(list, ['content-type', blob.type]);
  return makeResponse({
    type: 'basic',
    url: href,
    redirected: false,
    status: range === null ? 200 : 206,
    statusText: range === null ? 'OK' : 'Partial Content',
    headers: wrapHeaders(list, true),
    body: bytesBody(bytes),
  });
}
