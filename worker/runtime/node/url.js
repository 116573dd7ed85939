// internal/url, which node:url and others take from: the runtime's own URL, and what Node adds to it.
import { codedError } from '../core/coded_error.js';
import { URL, URLSearchParams } from '../web/url.js';

const isURL = (value) => value instanceof URL;

/** @param {any} given @returns {string} */
export function fileURLToPath(given) {
  const url = typeof given === 'string' ? new URL(given) : given;
  if (!isURL(url))
    throw codedError(
      'ERR_INVALID_ARG_TYPE',
      'The "path" argument must be of type string or an instance of URL.',
      TypeError,
    );
  if (url.protocol !== 'file:') throw codedError('ERR_INVALID_URL_SCHEME', 'The URL must be of scheme file', TypeError);
  if (url.hostname !== '')
    throw codedError('ERR_INVALID_FILE_URL_HOST', 'File URL host must be "localhost" or empty on linux', TypeError);
  if (/%2f/i.test(url.pathname))
    throw codedError('ERR_INVALID_FILE_URL_PATH', 'File URL path must not include encoded / characters', TypeError);
  return decodeURIComponent(url.pathname);
}

/** @param {string} path */
export function pathToFileURL(path) {
  if (typeof path !== 'string')
    throw codedError('ERR_INVALID_ARG_TYPE', 'The "path" argument must be of type string.', TypeError);
  const absolute = path[0] === '/' ? path : `${process.cwd()}/${path}`;
  const url = new URL(native.urlOfPath(absolute));
  return path.endsWith('/') && !url.pathname.endsWith('/') ? new URL(`${url.href}/`) : url;
}

/** @param {any} url */
function urlToHttpOptions(url) {
  const { hostname, pathname, port, username, password, search } = url;
  const options = {
    __proto__: null,
    ...url,
    protocol: url.protocol,
    hostname: hostname?.[0] === '[' ? hostname.slice(1, -1) : hostname,
    hash: url.hash,
    search,
    pathname,
    path: `${pathname || ''}${search || ''}`,
    href: url.href,
  };
  if (port !== '') options.port = Number(port);
  if (username || password) options.auth = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return options;
}

/** @param {string} domain */
const toAscii = (domain) => native.urlParse(`ws://${domain}`)?.[5] ?? '';

export const internalUrl = () => ({
  URL,
  URLSearchParams,
  isURL,
  fileURLToPath,
  fileURLToPathBuffer: (url) => Buffer.from(fileURLToPath(url)),
  pathToFileURL,
  toPathIfFileURL: (value) => (isURL(value) ? fileURLToPath(value) : value),
  urlToHttpOptions,
  domainToASCII: toAscii,
  domainToUnicode: (domain) => toUnicode(toAscii(domain)),
  unsafeProtocol: new Set(['javascript', 'javascript:']),
  hostlessProtocol: new Set(['javascript', 'javascript:']),
  slashedProtocol: new Set(
    ['http', 'https', 'ftp', 'gopher', 'file', 'ws', 'wss'].flatMap((name) => [name, `${name}:`]),
  ),
});

/**
 * url.format of a URL: without what is not wanted, its host in Unicode where that is.
 * @param {string} href @param {boolean} fragment @param {boolean} unicode @param {boolean} search @param {boolean} auth
 */
export function formatUrl(href, fragment, unicode, search, auth) {
  const url = new URL(href);
  if (!fragment) url.hash = '';
  if (!search) url.search = '';
  if (!auth) url.username = url.password = '';
  const { protocol, username, password, hostname, port, pathname } = url;
  if (!unicode || hostname === '') return url.href;
  const user = username === '' && password === '' ? '' : `${username}${password && `:${password}`}@`;
  return `${protocol}//${user}${toUnicode(hostname)}${port && `:${port}`}${pathname}${url.search}${url.hash}`;
}

/** Punycode labels as what they mean (RFC 3492). @param {string} domain */
export function toUnicode(domain) {
  return domain
    .split('.')
    .map((label) => (label.startsWith('xn--') ? decodePunycode(label.slice(4)) : label))
    .join('.');
}
/** @param {string} text */
function decodePunycode(text) {
  const dash = text.lastIndexOf('-');
  const out = dash > 0 ? Array.from(text.slice(0, dash)) : [];
  let n = 128,
    i = 0,
    bias = 72;
  for (let at = dash > 0 ? dash + 1 : 0; at < text.length;) {
    const before = i;
    for (let weight = 1, k = 36; ; k += 36) {
      const c = text.charCodeAt(at++);
      const digit = c >= 48 && c <= 57 ? c - 22 : c >= 97 && c <= 122 ? c - 97 : 36;
      if (digit >= 36) return `xn--${text}`;
      i += digit * weight;
      const threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
      if (digit < threshold) break;
      weight *= 36 - threshold;
    }
    let delta = before === 0 ? Math.floor((i - before) / 700) : (i - before) >> 1;
    delta += Math.floor(delta / (out.length + 1));
    let k = 0;
    for (; delta > 455; k += 36) delta = Math.floor(delta / 35);
    bias = k + Math.floor((36 * delta) / (delta + 38));
    n += Math.floor(i / (out.length + 1));
    i %= out.length + 1;
    if (n > 0x10ffff) return `xn--${text}`;
    out.splice(i++, 0, String.fromCodePoint(n));
  }
  return out.join('');
}
