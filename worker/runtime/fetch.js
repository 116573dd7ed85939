// fetch (Fetch standard, section 4), over the channel to the net broker. Every call settles: the broker,
// the channel's C++ side and the redirect limit each have a last word.
import { ArrayPush, StringSlice, StringStartsWith, isLatin1 } from './primordials.js';
import { onAbort } from './abort.js';
import { bytesBody, isUnusable, netBody, streamOf } from './body.js';
import { connectionHeaders, headerList, wrapHeaders } from './headers.js';
import { NetBody, abortExchange, dropExchange, errorOf, netError, openExchange, upload } from './net.js';
import { Request, requestState } from './request.js';
import { makeResponse } from './response.js';
import { URL } from './url.js';

const nullBodyStatus = (/** @type {number} */ status) =>
  status === 204 || status === 205 || status === 304 || status === 101;
const redirects = new Set([301, 302, 303, 307, 308]);
// What fetch decides itself: a guest's own are left out, as those of the connection are, and as browsers do.
const ownHeaders = new Set(['content-length', 'expect', 'host', 'http2-settings']);
const bodyHeaders = new Set([
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
  'content-length',
]);

let maxRedirects = 20;
export function setMaxRedirects(/** @type {number} */ n) {
  maxRedirects = n;
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
    const name = headers[i][0];
    if (!connectionHeaders.has(name) && !ownHeaders.has(name)) ArrayPush(flat, name, headers[i][1]);
  }
  if (!has(headers, 'accept')) ArrayPush(flat, 'accept', '*/*');
  if (!has(headers, 'accept-encoding')) ArrayPush(flat, 'accept-encoding', 'gzip, deflate, br, zstd');
  if (!has(headers, 'user-agent')) ArrayPush(flat, 'user-agent', 'Postern');
  const whole = body !== null && body.bytes !== null;
  if (whole) ArrayPush(flat, 'content-length', `${body.bytes.length}`);
  const { e, promise } = openExchange(flat, body === null ? null : whole ? body.bytes : true);
  const unlisten = signal === null ? null : onAbort(signal, (/** @type {any} */ reason) => abortExchange(e, reason));
  if (body !== null && !whole) upload(e, body.stream);
  const outcome = await promise;
  if (outcome.failure) {
    unlisten?.();
    throw errorOf(e);
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
      throw netError({
        code: 'ERR_UNSUPPORTED_SCHEME',
        message: `the scheme "${url.protocol}" cannot be fetched; use http: or https:`,
        error: '',
      });
    }
    const { status, statusText, fields, e } = await exchange(url, method, headers, body, signal);
    /** @type {[string, string][]} */
    const list = [];
    let location = null,
      coded = false;
    for (let i = 0; i < fields.length; i += 2) {
      ArrayPush(list, [fields[i], fields[i + 1]]);
      if (fields[i] === 'content-encoding') coded = true;
      if (fields[i] === 'location') location = fields[i + 1];
    }
    if (location === null || !redirects.has(status) || s.redirect === 'manual') {
      const empty = nullBodyStatus(status) || method === 'HEAD';
      if (empty) dropExchange(e);
      return makeResponse({
        type: 'basic',
        url: withoutHash(url),
        redirected: hops > 0,
        status,
        statusText,
        headers: wrapHeaders(list, true),
        body: empty ? null : netBody(new NetBody(e, coded)),
      });
    }
    dropExchange(e);
    const failed = (/** @type {string} */ code, /** @type {string} */ message) =>
      netError({ code, message, error: '' });
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
  const bad = () => netError({ code: 'ERR_INVALID_URL', message: 'the data: URL is malformed', error: '' });
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
