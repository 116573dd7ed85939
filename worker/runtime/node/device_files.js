// The natives of files (native_files.cc), and before them what a guest has of its own: /dev/null, and its standard streams by their
// names in /dev and /proc.
import { codedError } from '../core/coded_error.js';

const kPiece = 65536; // bytes
const kNull = '/dev/null';
const standardNames = ['stdin', 'stdout', 'stderr'];

/** 0, 1 or 2 where a path is that of a standard stream. @param {string} full */
export function standardOf(full) {
  const found = /^\/dev\/(std(?:in|out|err))$|^\/(?:dev|proc\/self)\/fd\/([012])$/.exec(full);
  if (found === null) return undefined;
  return found[1] === undefined ? Number(found[2]) : standardNames.indexOf(found[1]);
}

/** @param {string} code @param {string} message @returns {never} */
const refuse = (code, message) => {
  throw codedError(code, message);
};
/** @param {number} standard */
export const standardLook = (standard) => ({
  kind: 'pipe',
  size: 0,
  accessed: 0,
  modified: 0,
  changed: 0,
  writable: standard !== 0,
  inode: standard + 1,
  device: 0,
});
const nullLook = { ...standardLook(3), kind: 'device', real: kNull };

/** All that stdin still has; waits for it. */
export function restOfStdin() {
  const pieces = [];
  for (let piece; (piece = native.stdinRead(kPiece)).length > 0;) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** @param {number | undefined} standard @param {number} length -1: all @returns {Uint8Array} */
function readDevice(standard, length) {
  if (standard === undefined) return new Uint8Array(0);
  if (standard !== 0) return refuse('EBADF', 'bad file descriptor');
  return length < 0 ? restOfStdin() : native.stdinRead(length);
}
/** @param {number | undefined} standard @param {Uint8Array} bytes @param {number} truncate */
function writeDevice(standard, bytes, truncate) {
  if (truncate >= 0) refuse('EINVAL', 'a device has no size');
  if (standard === 0) refuse('EBADF', 'bad file descriptor');
  if (standard !== undefined) native.write(standard, bytes);
}
/** Whether what is at a path is a guest's own. @param {string} full */
const isDevice = (full) => full === kNull || standardOf(full) !== undefined;
/** What would change such a name. @param {string} full @param {string} [other] */
function keep(full, other = '') {
  for (const path of [full, other]) if (isDevice(path)) refuse('EACCES', `${path} stays as it is`);
}

const kNew = 1; // of native.fileWrite
export const files = {
  /** @param {string} full @param {boolean} [follow] */
  look(full, follow) {
    if (!isDevice(full)) return native.fileLook(full, follow);
    return full === kNull ? nullLook : { ...standardLook(standardOf(full) ?? 0), real: full };
  },
  /** @param {string} full @param {number} offset @param {number} length */
  read: (full, offset, length) =>
    isDevice(full) ? readDevice(standardOf(full), length) : native.fileRead(full, offset, length),
  /** @param {string} full */
  list: (full) => (isDevice(full) ? refuse('ENOTDIR', `${full} is no directory`) : native.fileList(full)),
  /** @param {string} full @param {Uint8Array} bytes @param {number} how @param {number} offset @param {number} truncate @param {number} mode */
  write(full, bytes, how, offset, truncate, mode) {
    if (!isDevice(full)) return native.fileWrite(full, bytes, how, offset, truncate, mode);
    if (how === kNew) refuse('EEXIST', `${full} is there already`);
    writeDevice(standardOf(full), bytes, truncate);
  },
  /** @param {string} full @param {boolean} all @param {number} mode */
  makeDirectory(full, all, mode) {
    if (isDevice(full)) refuse('EEXIST', `${full} is there already`);
    native.fileMakeDirectory(full, all, mode);
  },
  /** @param {string} full @param {boolean} directory @param {boolean} all */
  remove(full, directory, all) {
    keep(full);
    native.fileRemove(full, directory, all);
  },
  /** @param {string} full @param {string} to */
  move(full, to) {
    keep(full, to);
    native.fileMove(full, to);
  },
  /** @param {string} full @param {number} accessed @param {number} modified */
  setTimes(full, accessed, modified) {
    keep(full);
    native.fileSetTimes(full, accessed, modified);
  },
};
