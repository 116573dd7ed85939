// fs.cp: Node's checks in Node's order, over what fs.js has. Links are followed: a guest cannot make any.
import constants from 'node-constants';
import { load } from './loader.js';

const { EEXIST, EINVAL, EISDIR, ENOTDIR } = constants.os.errno;

/** @typedef {{statSync: Function, copyFileSync: Function, mkdirSync: Function, readdirSync: Function, utimesSync: Function}} Files */

const path = () => load('path');
/** @param {string} code @param {string} reason EINVAL, … @param {number} errno @param {string} message @param {string} dest */
const refuse = (code, reason, errno, message, dest) =>
  new (load('internal/errors').codes[code])({ message, path: dest, syscall: 'cp', errno, code: reason });
/** @param {string} src @param {string} dest */
const withinItself = (src, dest) =>
  refuse('ERR_FS_CP_EINVAL', 'EINVAL', EINVAL, `cannot copy ${src} to a subdirectory of self ${dest}`, dest);

/** @param {any} options */
export function copyOptions(options) {
  const { codes } = load('internal/errors');
  const { validateBoolean, validateFunction, validateInteger, validateObject } = load('internal/validators');
  if (options !== undefined) validateObject(options, 'options');
  const flags = {
    dereference: false,
    errorOnExist: false,
    force: true,
    preserveTimestamps: false,
    recursive: false,
    verbatimSymlinks: false,
  };
  const all = { filter: undefined, mode: 0, ...flags, ...options };
  for (const name of Object.keys(flags)) validateBoolean(all[name], `options.${name}`);
  validateInteger((all.mode ??= 0), 'mode', 0, 7);
  if (all.dereference && all.verbatimSymlinks)
    throw new codes.ERR_INCOMPATIBLE_OPTION_PAIR('dereference', 'verbatimSymlinks');
  if (all.filter !== undefined) validateFunction(all.filter, 'options.filter');
  return all;
}

/** What is at both ends, checked. @param {Files} files @param {string} src @param {string} dest */
function ends({ statSync }, src, dest) {
  const from = statSync(src, { bigint: true });
  const to = found(statSync, dest);
  if (to !== undefined && same(from, to))
    throw refuse('ERR_FS_CP_EINVAL', 'EINVAL', EINVAL, 'src and dest cannot be the same', dest);
  if (to !== undefined && from.isDirectory() && !to.isDirectory())
    throw refuse(
      'ERR_FS_CP_DIR_TO_NON_DIR',
      'EISDIR',
      EISDIR,
      `cannot overwrite non-directory ${dest} with directory ${src}`,
      dest,
    );
  if (to !== undefined && !from.isDirectory() && to.isDirectory())
    throw refuse(
      'ERR_FS_CP_NON_DIR_TO_DIR',
      'ENOTDIR',
      ENOTDIR,
      `cannot overwrite directory ${dest} with non-directory ${src}`,
      dest,
    );
  if (from.isDirectory() && `${path().resolve(dest)}/`.startsWith(`${path().resolve(src)}/`.replace('//', '/')))
    throw withinItself(src, dest);
  return { from, to };
}
/** @param {Function} statSync @param {string} at */
function found(statSync, at) {
  try {
    return statSync(at, { bigint: true });
  } catch (error) {
    if (error.code !== 'ENOENT') throw error; // a file stands above it
    return undefined;
  }
}
/** @param {any} a @param {any} b */
const same = (a, b) => a.ino === b.ino && a.dev === b.dev;

/** Whether a link leads from a directory above `dest` back to `src`. @param {Files} files @param {string} src @param {any} from @param {string} dest */
function checkAbove({ statSync }, src, from, dest) {
  if (!from.isDirectory()) return;
  const { dirname, resolve } = path();
  for (let at = resolve(dirname(dest)); at !== '/' && at !== resolve(dirname(src)); at = dirname(at)) {
    const above = found(statSync, at);
    if (above !== undefined && same(from, above)) throw withinItself(src, dest);
  }
}

/**
 * Yields what the filter gave, and takes whether that means to copy.
 * @param {Files} files @param {string} src @param {string} dest @param {any} options @param {boolean} [within]
 * @returns {Generator<any, void, boolean>}
 */
function* copying(files, src, dest, options, within = false) {
  if (options.filter !== undefined && !(yield options.filter(src, dest))) return;
  const { from, to } = ends(files, src, dest);
  if (!within) checkAbove(files, src, from, dest);
  if (from.isDirectory() && !options.recursive)
    throw refuse('ERR_FS_EISDIR', 'EISDIR', EISDIR, `${src} is a directory (not copied)`, src);
  if (!within) files.mkdirSync(path().dirname(path().resolve(dest)), { recursive: true });
  const kept = to !== undefined && !options.force;
  if (kept && options.errorOnExist) throw refuse('ERR_FS_CP_EEXIST', 'EEXIST', EEXIST, `${dest} already exists`, dest);
  if (from.isDirectory()) {
    if (to === undefined) files.mkdirSync(dest, Number(from.mode) & 0o777);
    for (const name of files.readdirSync(src))
      yield* copying(files, path().join(src, name), path().join(dest, name), options, true);
  } else if (!kept) files.copyFileSync(src, dest, to === undefined ? options.mode : 0);
  else return;
  if (options.preserveTimestamps)
    files.utimesSync(dest, new Date(Number(from.atimeMs)), new Date(Number(from.mtimeMs)));
}

/** @param {Files} files @param {string} src @param {string} dest @param {any} options */
export function copySync(files, src, dest, options) {
  const { codes } = load('internal/errors');
  const work = copying(files, src, dest, options);
  for (let step = work.next(); !step.done;) {
    if (load('util/types').isPromise(step.value))
      throw new codes.ERR_INVALID_RETURN_VALUE('boolean', 'filter', step.value);
    step = work.next(Boolean(step.value));
  }
}
/** @param {Files} files @param {string} src @param {string} dest @param {any} options */
export async function copy(files, src, dest, options) {
  const work = copying(files, src, dest, options);
  for (let step = work.next(); !step.done;) step = work.next(Boolean(await step.value));
}
