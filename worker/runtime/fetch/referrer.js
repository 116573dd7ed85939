// Referrer Policy: what a request tells of where it comes from. A guest has no URL of its own, so that only a referrer that it
// names itself is ever sent.
import { RegExpExec } from '../core/primordials.js';
import { URL } from '../web/url.js';

export const referrerPolicies = [
  '',
  'no-referrer',
  'no-referrer-when-downgrade',
  'same-origin',
  'origin',
  'strict-origin',
  'origin-when-cross-origin',
  'strict-origin-when-cross-origin',
  'unsafe-url',
];
const kLongest = 4096; // characters; more are cut down to the origin

/** The state of Request.referrer for what was given. @param {any} given */
export function parseReferrer(given) {
  const text = `${given}`;
  if (text === '') return 'no-referrer';
  const url = URL.parse(text, globalThis.location?.href);
  if (url === null) throw new TypeError(`The referrer "${text}" is no URL`);
  return url.protocol === 'about:' && url.pathname === 'client' ? 'about:client' : url.href;
}

/** The policy that a redirect sets (section 8.1); `policy` where it sets none. @param {string} header @param {string} policy */
export function policyOf(header, policy) {
  for (const token of header.split(',')) {
    const name = token.trim();
    if (name !== '' && referrerPolicies.includes(name)) policy = name;
  }
  return policy;
}

const local = /^(?:localhost|.*\.localhost|127\.[0-9.]+|\[::1\])$/;
/** @param {any} url */
const trustworthy = (url) =>
  url.protocol === 'https:' || url.protocol === 'wss:' || RegExpExec(local, url.hostname) !== null;

/** The Referer of a request to `url`, or null. @param {string} referrer @param {string} policy @param {any} url */
export function refererFor(referrer, policy, url) {
  if (referrer === 'no-referrer' || referrer === 'about:client') return null;
  const source = new URL(referrer);
  if (source.protocol !== 'http:' && source.protocol !== 'https:') return null;
  source.username = source.password = source.hash = '';
  const origin = `${source.origin}/`;
  const full = source.href.length > kLongest ? origin : source.href;
  const same = source.origin === url.origin;
  const downgrade = trustworthy(source) && !trustworthy(url);
  switch (policy) {
    case 'no-referrer':
      return null;
    case 'unsafe-url':
      return full;
    case 'origin':
      return origin;
    case 'strict-origin':
      return downgrade ? null : origin;
    case 'same-origin':
      return same ? full : null;
    case 'origin-when-cross-origin':
      return same ? full : origin;
    case 'no-referrer-when-downgrade':
      return downgrade ? null : full;
    default: // strict-origin-when-cross-origin
      return same ? full : downgrade ? null : origin;
  }
}
