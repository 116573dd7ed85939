// Subresource Integrity: whether bytes are those that a request named.
import { ArrayPush, RegExpExec } from '../core/primordials.js';

const form = /^(sha256|sha384|sha512)-([A-Za-z0-9+/_-]+={0,2})(?:\?[\x21-\x7e]*)?$/;
const strength = ['sha256', 'sha384', 'sha512'];
const names = { __proto__: null, sha256: 'SHA-256', sha384: 'SHA-384', sha512: 'SHA-512' };

/** Base64 as the integrity attribute is compared: in either alphabet, with or without padding. @param {string} text */
const plain = (text) => text.replace(/-/g, '+').replace(/_/g, '/').replace(/=/g, '');

/** Of all that is named only the strongest kind counts, and one of its hashes is enough. @param {Uint8Array} bytes @param {string} metadata */
export function matchesIntegrity(bytes, metadata) {
  let strongest = -1;
  /** @type {string[]} */
  let hashes = [];
  for (const item of metadata.split(/[\t\n\f\r ]+/)) {
    const [, algorithm, hash] = RegExpExec(form, item) ?? [];
    const level = strength.indexOf(algorithm);
    if (level < 0 || level < strongest) continue;
    if (level > strongest) hashes = [];
    strongest = level;
    ArrayPush(hashes, plain(hash));
  }
  if (strongest < 0) return true; // nothing that is known was asked for
  const digest = native.digest(/** @type {any} */ (names)[strength[strongest]], bytes);
  return hashes.includes(plain(native.btoa(native.latin1Decode(digest))));
}
