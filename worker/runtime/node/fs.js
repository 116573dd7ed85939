// node:fs and node:fs/promises, over mounts and the in-memory /tmp. Everything is done at once: what is "asynchronous" is told in
// a later turn.
import constants from 'node-constants';
import { codedError } from '../core/coded_error.js';
import { masked, readStdin } from './process.js';
import { setImmediate } from '../core/timers.js';
import { absent } from './absent.js';
import { copy, copyOptions, copySync } from './copy.js';
import { files, restOfStdin, standardLook, standardOf } from './device_files.js';
import { attempt, attemptNew, fail, pathOf } from './file_paths.js';
import { fileStreams } from './file_streams.js';
import { load } from './loader.js';

const { errno: errnos } = constants.os;
const WRITE = 0,
  NEW = 1,
  APPEND = 2,
  UPDATE = 3,
  WHOLE = 4;
const kPiece = 65536;

/** @param {any} data @param {any} encoding */
function bytesOf(data, encoding) {
  if (typeof data === 'string') return Buffer.from(data, typeof encoding === 'string' ? encoding : 'utf8');
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  throw codedError(
    'ERR_INVALID_ARG_TYPE',
    `The "data" argument must be of type string or an instance of Buffer, TypedArray, or DataView. Received ${typeof data}`,
    TypeError,
  );
}
const validators = () => load('internal/validators');
/** @param {any} options */
function encodingOf(options) {
  const encoding = typeof options === 'string' ? options : options?.encoding;
  if (encoding && encoding !== 'buffer' && !Buffer.isEncoding(encoding))
    throw new (load('internal/errors').codes.ERR_INVALID_ARG_VALUE)('encoding', encoding, 'is invalid encoding');
  return encoding;
}
/** Where in `view` something is read to or written from, checked. @param {any} view @param {any} offset @param {any} length */
function rangeOf(view, offset, length) {
  if (!ArrayBuffer.isView(view))
    throw new (load('internal/errors').codes.ERR_INVALID_ARG_TYPE)(
      'buffer',
      ['Buffer', 'TypedArray', 'DataView'],
      view,
    );
  offset ??= 0;
  validators().validateInteger(offset, 'offset', 0);
  length = typeof length === 'number' ? Math.trunc(length) : view.byteLength - offset;
  if (length === 0) return { offset, length };
  validators().validateInteger(offset, 'offset', 0, view.byteLength);
  validators().validateInteger(length, 'length', 0, view.byteLength - offset);
  return { offset, length };
}
/** Where in the file: undefined for where it stands. @param {any} position */
function positionOf(position) {
  if (position === undefined || position === null || position === -1 || position === -1n) return undefined;
  if (typeof position !== 'bigint') validators().validateInteger(position, 'position', 0);
  return Number(position);
}
/** @param {Uint8Array} bytes @param {any} options */
function output(bytes, options) {
  const encoding = encodingOf(options);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return encoding === undefined || encoding === null || encoding === 'buffer' ? buffer : buffer.toString(encoding);
}

/** The bits of a mode that say what a file is, and all of those that are the same for all. @type {Record<string, number>} */
const types = {
  __proto__: null,
  file: 0o100000,
  directory: 0o040000,
  link: 0o120777,
  pipe: 0o010600,
  device: 0o020666,
};
const kNullDevice = 0x103; // /dev/null's: 1, 3
/** A mode that was given, for what is made: what of it goes, the natives see to. @param {any} mode @param {number} otherwise */
const modeOf = (mode, otherwise) => masked(validators().parseFileMode(mode, 'mode', otherwise) & 0o777);
const kFile = 0o666,
  kDirectory = 0o777,
  kOwner = 0o600; // whoever has a file open writes it by its name

class Stats {
  constructor({ kind, size, mode = 0, accessed, modified, changed, inode, device }) {
    this.dev = device;
    this.mode = (types[kind] ?? types.file) | mode;
    this.nlink = 1;
    this.uid = this.gid = 0;
    this.rdev = kind === 'device' ? kNullDevice : 0;
    this.ino = inode;
    this.blksize = 4096;
    this.size = size;
    this.blocks = Math.ceil(size / 512);
    const times = { atime: accessed, mtime: modified, ctime: changed, birthtime: Math.min(modified, changed) };
    for (const name of Object.keys(times)) this[`${name}Ms`] = times[name];
    Object.defineProperty(this, 'kind', { value: kind, enumerable: false });
  }
  isFile() {
    return this.kind === 'file';
  }
  isDirectory() {
    return this.kind === 'directory';
  }
  isSymbolicLink() {
    return this.kind === 'link';
  }
  isBlockDevice() {
    return false;
  }
  isCharacterDevice() {
    return this.kind === 'device';
  }
  isFIFO() {
    return this.kind === 'pipe';
  }
  isSocket() {
    return false;
  }
}
/** Made when they are first asked for. @param {string} name @param {(stats: any) => any} make */
const lazy = (name, make) =>
  Object.defineProperty(Stats.prototype, name, {
    enumerable: true,
    configurable: true,
    get() {
      return (this[name] = make(this));
    },
    set(value) {
      Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
    },
  });
for (const name of ['atime', 'mtime', 'ctime', 'birthtime']) {
  lazy(name, (stats) => new Date(Math.round(Number(stats[`${name}Ms`]))));
  lazy(`${name}Instant`, (stats) =>
    Temporal.Instant.fromEpochNanoseconds(stats[`${name}Ns`] ?? nanoseconds(stats[`${name}Ms`])),
  );
}
/** @param {number} ms */
const nanoseconds = (ms) => BigInt(Math.round(ms * 1000)) * 1000n;

class Dirent {
  constructor(name, kind, parentPath) {
    this.name = name;
    this.parentPath = this.path = parentPath;
    Object.defineProperty(this, 'kind', { value: kind, enumerable: false });
  }
}
for (const name of [
  'isFile',
  'isDirectory',
  'isSymbolicLink',
  'isBlockDevice',
  'isCharacterDevice',
  'isFIFO',
  'isSocket',
])
  Dirent.prototype[name] = Stats.prototype[name];

/** For Node's glob. */
export class DirentFromStats extends Dirent {
  constructor(name, stats, parentPath) {
    super(name, stats.kind, parentPath);
  }
}

/** @param {number} standard 0 stdin, 1 stdout, 2 stderr */
const standardFile = (standard) => ({
  path: `/dev/fd/${standard}`,
  standard,
  at: 0,
  reads: standard === 0,
  writes: standard !== 0,
  append: false,
});
/** Its descriptor in place of a path that is a standard stream's. @param {any} given */
const standardFdOf = (given) => (typeof given === 'number' ? given : (standardOf(pathOf(given).full) ?? given));
/** Open files, by descriptor. @type {Map<number, {path: string, standard?: number, at: number, reads: boolean, writes: boolean, append: boolean}>} */
const open = new Map([0, 1, 2].map((standard) => [standard, standardFile(standard)]));
let lastFd = 2;
/** @param {any} fd @param {string} syscall */
function opened(fd, syscall) {
  validators().validateInteger(fd, 'fd', 0, 2147483647);
  const file = open.get(fd);
  if (file === undefined) throw fail('EBADF', 'bad file descriptor', syscall);
  return file;
}

/** @param {string} syscall @param {{full: string}} path */
const readOnly = (syscall, path) =>
  fail(
    'EACCES',
    `${path.full} may be read only; add --mount=${path.full.slice(0, path.full.lastIndexOf('/')) || 'DIR'}:rw`,
    syscall,
    path,
  );

/** A time as fs.utimes takes it: seconds, or a Date. @param {any} time @param {string} name */
function milliseconds(time, name) {
  if (typeof time === 'string' && time !== '' && Number.isFinite(Number(time))) return Number(time) * 1000;
  if (typeof time === 'number' && Number.isFinite(time)) return time < 0 ? Date.now() : time * 1000;
  if (time instanceof Date) return time.getTime();
  throw new (load('internal/errors').codes.ERR_INVALID_ARG_TYPE)(name, ['Date', 'Time in seconds'], time);
}

/** @param {any} accessed @param {any} modified */
const timesOf = (accessed, modified) => [milliseconds(accessed, 'atime'), milliseconds(modified, 'mtime')];

/** @param {any} callback */
function checkCallback(callback) {
  if (typeof callback !== 'function')
    throw codedError(
      'ERR_INVALID_ARG_TYPE',
      `The "cb" argument must be of type function. Received ${typeof callback}`,
      TypeError,
    );
}
/** What needs `recursive`. @param {string} syscall @param {string} path @param {string} message */
const directoryError = (syscall, path, message) =>
  new (load('internal/errors').codes.ERR_FS_EISDIR)({ code: 'EISDIR', message, path, syscall, errno: errnos.EISDIR });

/** @param {any} flags @returns {{reads: boolean, writes: boolean, append: boolean, how: number | undefined}} `how`: what opening does */
function flagsOf(flags = 'r') {
  if (typeof flags === 'number') {
    const { O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND } = constants.fs;
    const writes = (flags & (O_WRONLY | O_RDWR)) !== 0;
    const how =
      flags & O_EXCL && flags & O_CREAT ? NEW : flags & O_TRUNC ? WRITE : flags & O_CREAT ? APPEND : undefined;
    return { reads: (flags & O_WRONLY) === 0, writes, append: (flags & O_APPEND) !== 0, how: writes ? how : undefined };
  }
  const known = {
    __proto__: null,
    r: [true, false, false, undefined],
    rs: [true, false, false, undefined],
    'r+': [true, true, false, undefined],
    'rs+': [true, true, false, undefined],
    w: [false, true, false, WRITE],
    wx: [false, true, false, NEW],
    'w+': [true, true, false, WRITE],
    'wx+': [true, true, false, NEW],
    a: [false, true, true, APPEND],
    ax: [false, true, true, NEW],
    'a+': [true, true, true, APPEND],
    'ax+': [true, true, true, NEW],
    as: [false, true, true, APPEND],
  }[flags];
  if (known === undefined)
    throw codedError('ERR_INVALID_ARG_VALUE', `The argument 'flags' is invalid. Received '${flags}'`, TypeError);
  const [reads, writes, append, how] = known;
  return { reads, writes, append, how };
}

const nothing = new Uint8Array(0);
/** Numbers as BigInts, and times in nanoseconds besides. @param {any} stats */
function inBigInts(stats) {
  for (const [name, value] of Object.entries(stats)) {
    if (typeof value !== 'number') continue;
    stats[name] = BigInt(Math.trunc(value));
    if (name.endsWith('Ms')) stats[`${name.slice(0, -2)}Ns`] = nanoseconds(value);
  }
  return stats;
}
const look = (call, given, options, follow) => {
  const path = pathOf(given);
  try {
    const stats = attempt(call, path, (full) => new Stats(files.look(full, follow || path.directory)));
    return options?.bigint ? inBigInts(stats) : stats;
  } catch (error) {
    if (options?.throwIfNoEntry === false && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return undefined;
    throw error;
  }
};
/** @param {string} syscall @param {import('./file_paths.js').Path} path @param {any} options */
function realpath(syscall, path, options) {
  const { real } = attempt(syscall, path, (full) => files.look(full));
  return encodingOf(options) === 'buffer' ? Buffer.from(real) : real;
}
/** @param {import('./file_paths.js').Path} [path] */
const directoryRead = (path) => fail('EISDIR', 'illegal operation on a directory', 'read', path);
/** readFileSync, but that a directory's error has its path, as Node's has where it is asynchronous. @param {any} given @param {any} options */
function readFile(given, options) {
  checkSignal(options);
  try {
    return sync.readFileSync(given, options);
  } catch (error) {
    throw error.code === 'EISDIR' && typeof given !== 'number' ? directoryRead(pathOf(given)) : error;
  }
}
const sync = {
  existsSync(path) {
    try {
      attempt('access', pathOf(path), (full) => files.look(full));
      return true;
    } catch {
      return false;
    }
  },
  accessSync(given, mode = 0) {
    const path = pathOf(given);
    validators().validateInteger(mode, 'mode', 0, 7);
    const { kind, mode: allowed, writable } = attempt('access', path, (full) => files.look(full));
    if (mode & constants.fs.X_OK && (allowed & 0o111) === 0)
      throw fail('EACCES', kind === 'directory' ? 'permission denied' : 'a guest executes no files', 'access', path);
    if (mode & constants.fs.W_OK && !writable)
        throw readOnly('access', path);
  },
  statSync: (given, options) => look('stat', given, options, true),
  lstatSync: (given, options) => look('lstat', given, options, false),
  // Tools set the modes that they have read: what is so already is no change.
  chmodSync(given, mode) {
    const path = pathOf(given);
    const stats = attempt('chmod', path, (full) => new Stats(files.look(full)));
    const wanted = validators().parseFileMode(mode, 'mode');
    if ((wanted & 0o7777) !== (stats.mode & 0o7777))
      throw fail(
        'EPERM',
        `modes in a guest do not change, and this is ${(stats.mode & 0o7777).toString(8)}`,
        'chmod',
        path,
      );
  },
  fchmodSync: (fd, mode) => sync.chmodSync(opened(fd, 'fchmod').path, mode),
  readlinkSync(given, options) {
    const path = pathOf(given);
    const { kind, target } = attempt('readlink', path, (full) => files.look(full, path.directory));
    if (kind !== 'link') throw fail('EINVAL', 'invalid argument', 'readlink', path);
    if (target === '') throw fail('EACCES', `${path.full} leads out of its mount`, 'readlink', path);
    return encodingOf(options) === 'buffer' ? Buffer.from(target) : target;
  },
  fstatSync(fd, options) {
    const { path, standard } = opened(fd, 'fstat');
    if (standard === undefined) return sync.statSync(path, options);
    const stats = new Stats(standardLook(standard));
    return options?.bigint ? inBigInts(stats) : stats;
  },
  readFileSync(given, options) {
    given = standardFdOf(given);
    if (typeof given === 'number') {
      const file = opened(given, 'read');
      if (!file.reads) throw fail('EBADF', 'bad file descriptor', 'read');
      if (file.standard !== undefined) return output(restOfStdin(), options);
      const bytes = attempt('read', undefined, () => files.read(file.path, file.at, -1));
      file.at += bytes.length;
      return output(bytes, options);
    }
    const path = pathOf(given);
    if (options?.flag !== undefined && flagsOf(options.flag).how !== undefined)
      sync.closeSync(sync.openSync(given, options.flag));
    try {
      return output(
        attempt('open', path, (full) => files.read(full, 0, -1)),
        options,
      );
    } catch (error) {
      // Node opens a directory, and cannot read it.
      throw error.code === 'EISDIR' ? directoryRead() : error;
    }
  },
  /** `atomic: true` (ours): all of it or nothing, also after a crash. */
  writeFileSync(given, data, options) {
    const bytes = bytesOf(data, encodingOf(options));
    given = standardFdOf(given);
    if (typeof given === 'number') return void sync.writeSync(given, bytes);
    const path = pathOf(given);
    const { how, append } = flagsOf((typeof options === 'object' && options?.flag) || 'w');
    const way = options?.atomic ? WHOLE : append && how !== NEW ? APPEND : (how ?? UPDATE);
    const mode = modeOf(options?.mode, kFile);
    const writing = way === UPDATE ? attempt : attemptNew;
    writing('open', path, (full) => files.write(full, bytes, way, 0, -1, mode));
  },
  appendFileSync(given, data, options) {
    given = standardFdOf(given);
    if (typeof given === 'number') return void sync.writeSync(given, bytesOf(data, encodingOf(options)));
    const path = pathOf(given);
    const bytes = bytesOf(data, encodingOf(options)),
      mode = modeOf(options?.mode, kFile);
    attemptNew('open', path, (full) => files.write(full, bytes, APPEND, 0, -1, mode));
  },
  readdirSync(given, options) {
    const path = pathOf(given);
    const join = load('path').join;
    const entries = [];
    const ahead = [{ directory: path, prefix: '' }]; // by levels, as Node goes
    for (const { directory, prefix } of ahead) {
      const found = JSON.parse(attempt('scandir', directory, (full) => files.list(full)));
      for (const [name, kind] of found.sort(([a], [b]) => (a < b ? -1 : 1))) {
        entries.push(options?.withFileTypes ? new Dirent(name, kind, directory.text) : join(prefix, name));
        if (options?.recursive && kind === 'directory')
          ahead.push({ directory: pathOf(join(directory.text, name)), prefix: join(prefix, name) });
      }
    }
    return encodingOf(options) === 'buffer' ? entries.map((name) => Buffer.from(name)) : entries;
  },
  mkdirSync(given, options) {
    const path = pathOf(given);
    const recursive = Boolean(options?.recursive);
    const mode = modeOf(typeof options === 'object' ? options?.mode : options, kDirectory);
    let first;
    const { dirname } = load('path');
    if (recursive)
      for (let at = path.text; !['', '/', '.'].includes(at) && !sync.existsSync(at); at = dirname(at)) first = at;
    const isFile = recursive && path.directory && sync.existsSync(path.full);
    attempt('mkdir', { ...path, directory: isFile }, (full) => files.makeDirectory(full, recursive, mode));
    return first;
  },
  mkdtempSync(prefix, options) {
    for (;;) {
      const { text } = pathOf(prefix, 'prefix');
      const path = pathOf(`${text}${crypto.randomUUID().replaceAll('-', '').slice(0, 6)}`);
      if (sync.existsSync(path.text)) continue;
      attempt('mkdtemp', pathOf(`${text}XXXXXX`), () => files.makeDirectory(path.full, false, modeOf(0o700, 0)));
      return encodingOf(options) === 'buffer' ? Buffer.from(path.text) : path.text;
    }
  },
  rmdirSync(given, options) {
    const path = pathOf(given);
    attempt('rmdir', path, (full) => files.remove(full, true, Boolean(options?.recursive)));
  },
  unlinkSync(given) {
    const path = pathOf(given);
    attempt('unlink', path, (full) => files.remove(full, false, false));
  },
  rmSync(given, options) {
    const path = pathOf(given);
    if (path.directory && options?.force && !sync.existsSync(given)) return;
    const recursive = Boolean(options?.recursive);
    if (!options?.force || !recursive) {
      const kind = sync.lstatSync(given, { throwIfNoEntry: !options?.force });
      if (kind === undefined) return;
      if (kind.isDirectory() && !recursive) throw directoryError('rm', path.text, 'is a directory');
    }
    attempt('rm', path, (full) => files.remove(full, false, recursive));
  },
  renameSync(from, to) {
    const path = pathOf(from, 'oldPath'),
      dest = pathOf(to, 'newPath');
    const move = (full, to) => {
      if (dest.directory && files.look(full, false).kind !== 'directory')
        throw codedError('ENOTDIR', `${full} is no directory`);
      files.move(full, to);
    };
    attempt('rename', path, move, dest);
  },
  copyFileSync(from, to, mode = 0) {
    const path = pathOf(from, 'src'),
      dest = pathOf(to, 'dest');
    validators().validateInteger(mode, 'mode', 0, 7);
    const how = mode & constants.fs.COPYFILE_EXCL ? NEW : WRITE;
    const copied = (full, to) => files.write(to, files.read(full, 0, -1), how, 0, -1, files.look(full).mode);
    attemptNew('copyfile', path, copied, dest);
  },
  cpSync(from, to, options) {
    const checked = copyOptions(options);
    copySync(sync, pathOf(from, 'src').text, pathOf(to, 'dest').text, checked);
  },
  truncateSync(given, size = 0) {
    validators().validateInteger(size, 'len');
    size = Math.max(0, size);
    attempt('open', pathOf(given), (full) => files.write(full, nothing, UPDATE, 0, size));
  },
  ftruncateSync(fd, size = 0) {
    const file = opened(fd, 'ftruncate');
    validators().validateInteger(size, 'len');
    size = Math.max(0, size);
    if (!file.writes || file.standard !== undefined) throw fail('EINVAL', 'invalid argument', 'ftruncate');
    attempt('ftruncate', undefined, () => files.write(file.path, nothing, UPDATE, 0, size));
  },
  utimesSync(given, accessed, modified) {
    const path = pathOf(given);
    const times = timesOf(accessed, modified);
    attempt('utime', path, (full) => files.setTimes(full, ...times));
  },
  futimesSync(fd, accessed, modified) {
    const { path } = opened(fd, 'futime');
    const times = timesOf(accessed, modified);
    attempt('futime', undefined, () => files.setTimes(path, ...times));
  },
  realpathSync: Object.assign(
    (given, options) => {
      const { full } = pathOf(given === '' ? '.' : given); // Node walks from the root
      return realpath('lstat', { text: full, full, directory: false }, options);
    },
    { native: (given, options) => realpath('realpath', pathOf(given), options) },
  ),
  openSync(given, flags = 'r', permissions = undefined) {
    const path = pathOf(given);
    const mode = modeOf(permissions, kFile) | kOwner;
    const standard = standardOf(path.full);
    if (standard !== undefined) {
      open.set(++lastFd, standardFile(standard));
      return lastFd;
    }
    const { reads, writes, append, how } = flagsOf(flags);
    if (how !== undefined) attemptNew('open', path, (full) => files.write(full, nothing, how, 0, -1, mode));
    else {
      const { kind, writable } = attempt('open', path, (full) => files.look(full));
      if (writes && kind === 'directory') throw fail('EISDIR', 'illegal operation on a directory', 'open', path);
      if (writes && !writable)
        throw readOnly('open', path);
    }
    open.set(++lastFd, { path: path.full, at: 0, reads, writes, append });
    return lastFd;
  },
  closeSync(fd) {
    opened(fd, 'close');
    open.delete(fd);
  },
  readSync(fd, buffer, offset, length, position) {
    const file = opened(fd, 'read');
    if (typeof offset === 'object' && offset !== null) ({ offset, length, position } = offset);
    ({ offset, length } = rangeOf(buffer, offset, length));
    if (length === 0) return 0;
    const from = positionOf(position);
    if (!file.reads) throw fail('EBADF', 'bad file descriptor', 'read');
    const bytes =
      file.standard === undefined
        ? attempt('read', undefined, () => files.read(file.path, from ?? file.at, length))
        : native.stdinRead(length);
    new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).set(bytes, offset);
    if (from === undefined) file.at += bytes.length;
    return bytes.length;
  },
  writeSync(fd, data, offset, length, position) {
    const file = opened(fd, 'write');
    let bytes;
    if (typeof data === 'string') {
      position = offset;
      bytes = Buffer.from(data, Buffer.isEncoding(length) ? length : 'utf8');
    } else {
      if (typeof offset === 'object' && offset !== null) ({ offset, length, position } = offset);
      bytes = bytesOf(data);
      ({ offset, length } = rangeOf(bytes, offset, length));
      bytes = bytes.subarray(offset, offset + length);
    }
    if (!file.writes) throw fail('EBADF', 'bad file descriptor', 'write');
    if (file.standard !== undefined) {
      native.write(file.standard, bytes);
      return bytes.length;
    }
    const at = typeof position === 'number' && position >= 0 ? position : undefined;
    attempt('write', undefined, () =>
      files.write(file.path, bytes, file.append ? APPEND : UPDATE, at ?? file.at, -1, kFile),
    );
    if (at === undefined) file.at += bytes.length;
    return bytes.length;
  },
  fsyncSync: (fd) => void opened(fd, 'fsync'),
  fdatasyncSync: (fd) => void opened(fd, 'fdatasync'),
  readvSync(fd, buffers, position) {
    let all = 0;
    for (const buffer of listOfBuffers(buffers)) {
      const n = sync.readSync(fd, buffer, 0, buffer.byteLength, typeof position === 'number' ? position + all : null);
      all += n;
      if (n < buffer.byteLength) break;
    }
    return all;
  },
  writevSync(fd, buffers, position) {
    let all = 0;
    for (const buffer of listOfBuffers(buffers))
      all += sync.writeSync(fd, buffer, 0, buffer.byteLength, typeof position === 'number' ? position + all : null);
    return all;
  },
  opendirSync(given) {
    const path = pathOf(given);
    attempt('opendir', path, (full) => files.list(full));
    return new Dir(path.text, sync.readdirSync(path.text, { withFileTypes: true }));
  },
};

/** @param {any} buffers */
function listOfBuffers(buffers) {
  if (Array.isArray(buffers) && buffers.every((buffer) => ArrayBuffer.isView(buffer))) return buffers;
  throw codedError(
    'ERR_INVALID_ARG_TYPE',
    'The "buffers" argument must be an instance of ArrayBufferView[].',
    TypeError,
  );
}

class Dir {
  #entries;
  constructor(path, entries) {
    this.path = path;
    this.#entries = entries;
  }
  readSync() {
    return this.#entries.shift() ?? null;
  }
  async read() {
    return this.readSync();
  }
  closeSync() {}
  async close() {}
  async *[Symbol.asyncIterator]() {
    for (let entry; (entry = this.readSync()) !== null;) yield entry;
  }
}

/** The sync function with its last argument a callback. */
const withCallback = (
  name,
  f,
  wrap = (result, callback) => (result === undefined ? callback(null) : callback(null, result)),
) =>
  ({
    [name](...args) {
      const callback = args.pop();
      checkCallback(callback);
      let result;
      try {
        result = f(...args);
      } catch (error) {
        if (error instanceof TypeError) throw error; // of the call itself, as Node has it
        return void setImmediate(() => callback(error));
      }
      setImmediate(() => wrap(result, callback));
    },
  })[name];

/** An open file as fs/promises has it. */
class FileHandle {
  #fd;
  constructor(fd) {
    this.#fd = fd;
  }
  get fd() {
    return this.#fd;
  }
  async close() {
    if (open.has(this.#fd)) sync.closeSync(this.#fd);
  }
  async [Symbol.asyncDispose]() {
    await this.close();
  }
  async read(buffer, offset, length, position) {
    if (buffer === undefined || (typeof buffer === 'object' && !ArrayBuffer.isView(buffer)))
      ({ buffer = Buffer.alloc(16384), offset, length, position } = buffer ?? {});
    return { bytesRead: sync.readSync(this.#fd, buffer, offset, length, position), buffer };
  }
  async readv(buffers, position) {
    return { bytesRead: sync.readvSync(this.#fd, buffers, position), buffers };
  }
  async write(data, ...rest) {
    return { bytesWritten: sync.writeSync(this.#fd, data, ...rest), buffer: data };
  }
  async writev(buffers, position) {
    return { bytesWritten: sync.writevSync(this.#fd, buffers, position), buffers };
  }
  async readFile(options) {
    return sync.readFileSync(this.#fd, options);
  }
  async writeFile(data, options) {
    sync.writeFileSync(this.#fd, data, options);
  }
  async appendFile(data, options) {
    sync.writeFileSync(this.#fd, data, options);
  }
  async stat() {
    return sync.fstatSync(this.#fd);
  }
  async truncate(size) {
    sync.ftruncateSync(this.#fd, size);
  }
  async utimes(accessed, modified) {
    sync.futimesSync(this.#fd, accessed, modified);
  }
  async sync() {}
  async datasync() {}
  createReadStream(options) {
    return createReadStream('', { ...options, fd: this.#fd });
  }
  createWriteStream(options) {
    return createWriteStream('', { ...options, fd: this.#fd });
  }
  async *readLines(options) {
    let rest = '';
    for await (const chunk of this.createReadStream({ encoding: 'utf8', ...options })) {
      const lines = (rest + chunk).split(/\r?\n/);
      rest = lines.pop();
      yield* lines;
    }
    if (rest !== '') yield rest;
  }
}

/** @type {{ReadStream: any, WriteStream: any} | undefined} */
let streamClasses;
const streams = () => (streamClasses ??= fileStreams({ sync, open, pathOf }));
const createReadStream = (path, options) => new (streams().ReadStream)(path, options);
const createWriteStream = (path, options) => new (streams().WriteStream)(path, options);

const names = Object.keys(sync).map((name) => name.slice(0, -'Sync'.length));
/** @type {any} */
export const fs = {
  ...sync,
  constants: constants.fs,
  ...Object.fromEntries(Object.entries(constants.fs).filter(([name]) => /^[FRWX]_OK$/.test(name))),
  Stats,
  Dirent,
  Dir,
  createReadStream,
  createWriteStream,
};
for (const name of names) fs[name] = withCallback(name, sync[`${name}Sync`]);
fs.readFile = withCallback('readFile', readFile);
fs.writeFile = withCallback('writeFile', (...args) => {
  checkSignal(args.at(-1));
  return sync.writeFileSync(...args);
});
fs.realpath.native = withCallback('native', sync.realpathSync.native);
fs.exists = (path, callback) => setImmediate(() => callback(sync.existsSync(path)));
/** What util.promisify makes of it. @param {Function} f @param {Function} value */
const promisesAs = (f, value) => Object.defineProperty(f, Symbol.for('nodejs.util.promisify.custom'), { value });
promisesAs(fs.exists, async (path) => sync.existsSync(path));
const readWithCallback = withCallback(
  'read',
  (fd, buffer, ...rest) => ({ n: sync.readSync(fd, buffer, ...rest), buffer }),
  ({ n, buffer }, callback) => callback(null, n, buffer),
);
/** Node's ways to call it: (fd, callback), (fd, options, callback), (fd, buffer, options, callback), and with all in their places. */
fs.read = function read(fd, ...args) {
  const callback = args.pop();
  let [buffer, offset, length, position] = args;
  if (!ArrayBuffer.isView(buffer)) ({ buffer = Buffer.alloc(16384), offset, length, position } = buffer ?? {});
  else if (typeof offset === 'object' && offset !== null) ({ offset, length, position } = offset);
  offset ??= 0;
  length ??= buffer.byteLength - offset;
  if (typeof callback !== 'function' || open.get(fd)?.standard !== 0 || length === 0)
    return readWithCallback(fd, buffer, offset, length, position, callback);
  readStdin((bytes) => {
    new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).set(bytes, offset);
    callback(null, bytes.length, buffer);
  }, length);
};
fs.write = withCallback(
  'write',
  (fd, data, ...rest) => ({ n: sync.writeSync(fd, data, ...rest), data }),
  ({ n, data }, callback) => callback(null, n, data),
);
for (const name of ['readv', 'writev'])
  fs[name] = withCallback(
    name,
    (fd, buffers, position) => ({ n: sync[`${name}Sync`](fd, buffers, position), buffers }),
    ({ n, buffers }, callback) => callback(null, n, buffers),
  );
/** By function: how util.promisify names the two values of its callback. */
const pairs = {
  read: ['bytesRead', 'buffer'],
  readv: ['bytesRead', 'buffers'],
  write: ['bytesWritten', 'buffer'],
  writev: ['bytesWritten', 'buffers'],
};
for (const [name, [count, what]] of Object.entries(pairs))
  promisesAs(
    fs[name],
    (...args) =>
      new Promise((resolve, reject) =>
        fs[name](...args, (error, n, given) => (error ? reject(error) : resolve({ [count]: n, [what]: given }))),
      ),
  );
for (const name of ['ReadStream', 'WriteStream'])
  for (const property of [name, `File${name}`])
    Object.defineProperty(fs, property, {
      configurable: true,
      enumerable: true,
      get: () => streams()[name],
      set: (value) =>
        Object.defineProperty(fs, property, { value, writable: true, configurable: true, enumerable: true }),
    });
/** A directory of its own that goes with `using`. */
const disposable = (path) => ({ path, remove: () => sync.rmSync(path, { recursive: true, force: true }) });
fs.mkdtempDisposableSync = (prefix, options) => {
  const made = disposable(sync.mkdtempSync(prefix, options));
  return Object.assign(made, { [Symbol.dispose]: made.remove });
};
/** What the file is now: a Blob keeps it. */
fs.openAsBlob = async (path, options) => {
  sync.statSync(path);
  return new Blob([sync.readFileSync(path)], { type: options?.type });
};
const glob = () => load('internal/fs/glob').Glob;
fs.globSync = (pattern, options) => new (glob())(pattern, options).globSync();
fs.glob = (pattern, options, callback) => {
  if (typeof options === 'function') [callback, options] = [options, undefined];
  checkCallback(callback);
  Array.fromAsync(new (glob())(pattern, options).glob()).then(
    (found) => callback(null, found),
    (error) => callback(error),
  );
};
fs.promises = { constants: constants.fs, FileHandle };
for (const name of names.filter(
  (name) =>
    ![
      'exists',
      'close',
      'read',
      'readv',
      'write',
      'writev',
      'fstat',
      'ftruncate',
      'fsync',
      'fdatasync',
      'fchmod',
      'futimes',
    ].includes(name),
)) {
  const f = sync[`${name}Sync`];
  fs.promises[name] = { [name]: async (...args) => f(...args) }[name];
}
fs.promises.glob = async function* (pattern, options) {
  yield* new (glob())(pattern, options).glob();
};
fs.promises.mkdtempDisposable = async (prefix, options) => {
  const made = disposable(sync.mkdtempSync(prefix, options));
  const remove = async () => made.remove();
  return { path: made.path, remove, [Symbol.asyncDispose]: remove };
};
fs.promises.realpath = async (path, options) => sync.realpathSync.native(path, options);
fs.promises.open = async (path, flags, mode) => new FileHandle(sync.openSync(path, flags, mode));
fs.promises.cp = async (from, to, options) => {
  const checked = copyOptions(options);
  return copy(sync, pathOf(from, 'src').text, pathOf(to, 'dest').text, checked);
};
fs.cp = (from, to, options, callback) => {
  if (typeof options === 'function') [callback, options] = [options, undefined];
  checkCallback(callback);
  const checked = copyOptions(options);
  copy(sync, pathOf(from, 'src').text, pathOf(to, 'dest').text, checked).then(() => callback(null), callback);
};
/** @param {any} options */
function checkSignal(options) {
  if (options?.signal === undefined) return;
  validators().validateAbortSignal(options.signal, 'options.signal');
  if (options.signal.aborted)
    throw new (load('internal/errors').AbortError)(undefined, { cause: options.signal.reason });
}
fs.promises.readFile = async (path, options) => readFile(path instanceof FileHandle ? path.fd : path, options);
fs.promises.writeFile = async (path, data, options) => {
  checkSignal(options);
  if (
    typeof data !== 'string' &&
    !ArrayBuffer.isView(data) &&
    (data?.[Symbol.asyncIterator] ?? data?.[Symbol.iterator])
  ) {
    const chunks = [];
    for await (const chunk of data) chunks.push(Buffer.from(bytesOf(chunk, encodingOf(options))));
    data = Buffer.concat(chunks);
  }
  return sync.writeFileSync(path instanceof FileHandle ? path.fd : path, data, options);
};
for (const name of ['watch', 'watchFile', 'unwatchFile'])
  fs[name] = absent('fs', name, 'a guest is told of no changes');
for (const name of ['symlink', 'link', 'statfs', 'chown', 'fchown', 'lchown', 'lutimes', 'lchmod']) {
  const reason = 'files in a guest have no such thing';
  fs[name] = absent('fs', name, reason);
  fs[`${name}Sync`] = absent('fs', `${name}Sync`, reason);
  if (!/^f[cu]/.test(name)) fs.promises[name] = async () => fs[name]();
}
fs.promises.watch = async () => fs.watch();
