// A request as the channel has it (channel/raw_fields.h), and as HTTP/1.1 has it (RFC 9112), to the letter: what two programs might
// read differently is malformed.
import { connectionHeaders } from '../fetch/headers.js';
import { netError } from '../fetch/exchange.js';

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const target = /^[\x21-\x7e\x80-\xff]+$/;
const value = /^[\t\x20-\x7e\x80-\xff]*$/;
const version = 'HTTP/1.1';

/** @param {string} what */
export const malformed = (what) =>
  netError({ code: 'ERR_HTTP_PROTOCOL', message: `the request on this socket is malformed: ${what}`, error: '' }, 'request');

/**
 * The fields of an exchange. What belongs to a connection, Host and Content-Length are not taken from `pairs`.
 * @param {{method: string, scheme: string, authority: string, path: string, pairs: Iterable<[string, string]>, upgrades: boolean}} request
 */
export function requestFields({ method, scheme, authority, path, pairs, upgrades }) {
  const flat = [':method', upgrades ? 'CONNECT' : method];
  if (upgrades) flat.push(':protocol', 'websocket');
  flat.push(':scheme', scheme, ':authority', authority, ':path', path, 'postern-raw', 'on');
  const names = new Set();
  for (const [name, value] of pairs) {
    const key = name.toLowerCase();
    if (connectionHeaders.has(key) || key === 'host' || key === 'content-length') continue;
    flat.push(key, value);
    if (name !== key) names.add(name);
  }
  if (names.size > 0) flat.push('postern-names', [...names].join());
  return flat;
}

/** Whether `text`, as far as it goes, can be the first line of an HTTP/1.1 request. @param {string} text */
export function mayBeRequest(text) {
  const end = text.indexOf('\r\n');
  const [method, path, last, ...more] = (end < 0 ? text : text.slice(0, end + 2)).split(' ');
  if (!token.test(method) || more.length > 0) return false;
  if (path === undefined || (path === '' && last === undefined)) return end < 0;
  if (!target.test(path)) return false;
  return last === undefined ? end < 0 : end < 0 ? `${version}\r\n`.startsWith(last) : last === `${version}\r\n`;
}

/** Without the blanks around it. @param {string} text */
function trimmed(text) {
  const isBlank = (/** @type {number} */ at) => text[at] === ' ' || text[at] === '\t';
  let begin = 0;
  let end = text.length;
  while (begin < end && isBlank(begin)) begin++;
  while (end > begin && isBlank(end - 1)) end--;
  return text.slice(begin, end);
}

/** @param {string} line */
export function parseField(line) {
  const colon = line.indexOf(':');
  if (colon < 0 || !token.test(line.slice(0, colon)) || !value.test(line.slice(colon + 1)))
    throw malformed('a header field');
  return [line.slice(0, colon), trimmed(line.slice(colon + 1))];
}

/** How long a body is; undefined where there is none. @param {(name: string) => string[]} all @returns {number | 'chunked' | undefined} */
function framing(all) {
  const lengths = all('content-length');
  const codings = all('transfer-encoding');
  if (lengths.length + codings.length > 1) throw malformed('it has more than one length');
  if (codings.length > 0) {
    if (codings[0].toLowerCase() !== 'chunked') throw malformed('its Transfer-Encoding is not "chunked"');
    return 'chunked';
  }
  if (lengths.length === 0) return undefined;
  if (!/^[0-9]{1,15}$/.test(lengths[0])) throw malformed('its Content-Length is no number');
  return Number(lengths[0]);
}

/** What `scheme://HOST` is, however it is written; undefined where HOST is none. @param {string} scheme @param {string} host */
function canonical(scheme, host) {
  return /^[^/?#@\\\s]+$/.test(host) ? native.urlParse(`${scheme}://${host}`)?.[0] : undefined;
}

/**
 * A request's head, without the empty line after it. The broker decides by where the connection leads: a Host that names another place is
 * an error, since the origin would take the request for one that nobody decided about.
 * @param {string} text @param {string} scheme @param {string} authority
 */
export function parseHead(text, scheme, authority) {
  const [first, ...lines] = text.split('\r\n');
  if (!mayBeRequest(`${first}\r\n`)) throw malformed('its first line');
  const [method, path] = first.split(' ');
  const pairs = lines.map(parseField);
  const all = (/** @type {string} */ name) => pairs.filter(([key]) => key.toLowerCase() === name).map((pair) => pair[1]);
  const hosts = all('host');
  if (hosts.length !== 1) throw malformed('it has no single Host');
  if (canonical(scheme, hosts[0]) !== canonical(scheme, authority) || canonical(scheme, authority) === undefined)
    throw malformed(`its Host is "${hosts[0]}", and the connection is to ${authority}`);
  if (method !== 'CONNECT' && path[0] !== '/')
    throw malformed(`"${path}" is no path: a rule is about paths, and a proxy is the policy's adapter`);
  const length = framing(all);
  const has = (/** @type {string} */ name, /** @type {string} */ word) =>
    all(name).some((list) => list.split(',').some((each) => trimmed(each).toLowerCase() === word));
  return {
    method,
    path,
    pairs,
    length,
    closes: has('connection', 'close'),
    upgrades: method === 'GET' && length === undefined && has('upgrade', 'websocket'),
  };
}

/** The size of a chunk by its line, extensions and all. @param {string} line */
export function chunkSize(line) {
  const size = /^([0-9A-Fa-f]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/.exec(line);
  if (size === null) throw malformed("a chunk's size");
  return parseInt(size[1], 16);
}
