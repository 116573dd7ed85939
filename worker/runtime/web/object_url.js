// blob: URLs (File API section 8). They live as long as the guest.
import { MapDelete, MapGet, MapSet, StringIndexOf, StringSlice } from '../core/primordials.js';
import { isBlob } from './blob.js';
import { randomUUID } from '../core/random.js';
import { URL } from './url.js';

/** @type {Map<string, any>} */
const blobs = new Map();

/** @param {string} href */
const withoutFragment = (href) => {
  const hash = StringIndexOf(href, '#');
  return hash < 0 ? href : StringSlice(href, 0, hash);
};

/** The Blob that a blob: URL means; undefined where there is none. @param {string} href */
export const blobOfUrl = (href) => MapGet(blobs, withoutFragment(href));

/** @type {any} */ (URL).createObjectURL = function createObjectURL(/** @type {any} */ blob) {
  if (!isBlob(blob)) throw new TypeError('createObjectURL needs a Blob');
  const url = `blob:null/${randomUUID()}`;
  MapSet(blobs, url, blob);
  return url;
};
/** @type {any} */ (URL).revokeObjectURL = function revokeObjectURL(/** @type {any} */ url) {
  MapDelete(blobs, withoutFragment(`${url}`));
};
