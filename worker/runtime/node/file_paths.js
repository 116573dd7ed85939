// Paths as node:fs takes them, and its errors, which tell them as they were given.
import constants from 'node-constants';
import { codedError } from '../core/coded_error.js';
import { process } from './process.js';
import { files } from './device_files.js';
import { load } from './loader.js';
import { fileURLToPath } from './url.js';

const { errno: errnos } = constants.os;

/**
 * @typedef {object} Path
 * @property {string} text as it was given
 * @property {string} full absolute, without "." and ".."; "" for none
 * @property {boolean} directory whether the text says that it is one: it ends with a slash
 */

/** @param {any} given a string, a Buffer or a URL @param {string} [what] its argument's name @returns {Path} */
export function pathOf(given, what = 'path') {
  let text = given;
  if (given instanceof URL) text = fileURLToPath(given);
  else if (given instanceof Uint8Array) text = new TextDecoder().decode(given);
  if (typeof text !== 'string')
    throw codedError(
      'ERR_INVALID_ARG_TYPE',
      `The "${what}" argument must be of type string or an instance of Buffer or URL. Received ${typeof given}`,
      TypeError,
    );
  if (text.includes('\0'))
    throw codedError('ERR_INVALID_ARG_VALUE', `The argument '${what}' must be a string without null bytes`, TypeError);
  const full = text === '' ? '' : load('path').resolve(process.cwd(), text); // no file has an empty path
  return { text, full, directory: full !== '/' && /\/\.?$/.test(text) };
}

/** @param {string} code @param {string} message @param {string} syscall @param {Path} [path] @param {Path} [dest] */
export function fail(code, message, syscall, path, dest) {
  const places = [path, dest].filter((place) => place !== undefined).map(({ text }) => `'${text}'`);
  const error = new Error(`${code}: ${message}, ${syscall}${places.length > 0 ? ` ${places.join(' -> ')}` : ''}`);
  const more = { errno: -errnos[code], code, syscall, path: path?.text, dest: dest?.text };
  for (const name of Object.keys(more)) if (more[name] !== undefined) error[name] = more[name];
  return error;
}

/**
 * Runs what may fail; its errors become Node's: "CODE: words, syscall 'path'".
 * @param {string} syscall
 * @param {Path | undefined} path of an open file, none
 * @param {(full: string, fullDest: string) => any} f
 * @param {Path} [dest]
 */
export function attempt(syscall, path, f, dest) {
  try {
    if (path?.text === '' || dest?.text === '') throw codedError('ENOENT', 'no such file or directory');
    if (path?.directory && files.look(path.full).kind !== 'directory')
      throw codedError('ENOTDIR', `${path.full} is no directory`);
    return f(path?.full ?? '', dest?.full ?? '');
  } catch (error) {
    if (errnos[error.code] === undefined) throw error;
    throw fail(error.code, error.message, syscall, path, dest);
  }
}

/** The same for what makes a file where there is none. @param {string} syscall @param {Path} path @param {(full: string, fullDest: string) => any} f @param {Path} [dest] */
export const attemptNew = (syscall, path, f, dest) =>
  attempt(
    syscall,
    dest === undefined ? { ...path, directory: path.directory && path.text.endsWith('.') } : path,
    (...full) => {
      const made = dest ?? path;
      if (made.directory) throw codedError('EISDIR', `${made.full} is said to be a directory`);
      return f(...full);
    },
    dest,
  );
