// Node's `process`: what a job uses of it. Its events and streams are Node's, and loaded when they are first asked for.
import { applyTo, ArrayPush, defineProperty, getPrototypeOf, hasOwn } from '../core/primordials.js';
import { now } from '../core/clock.js';
import { codedError } from '../core/coded_error.js';
import { useOwnMaps, usesOwnMaps } from '../core/errors.js';
import { reportError, takeUncaughtWith } from '../core/events.js';
import { colours, format } from '../core/inspect.js';
import { nextTick } from '../core/microtask.js';
import { noteOutput } from '../core/outputs.js';
import { part } from '../core/lazy_part.js';
import { makeReport } from './process_report.js';
import { registerClone } from '../core/structured_clone.js';

const { stdinWant } = native;
const kStdinPiece = 65536; // bytes

let directory = '/';
let exiting = false;
/** @type {any} */
let exitCode;
/** What may be an exit code: a whole number, or a text of one. @param {any} code */
function wholeNumber(code) {
  if (code === undefined || code === null || Number.isInteger(code)) return code;
  if (typeof code === 'string' && code !== '' && Number.isInteger(Number(code))) return code;
  throw typeof code === 'number'
    ? codedError(
        'ERR_OUT_OF_RANGE',
        `The value of "code" is out of range. It must be an integer. Received ${code}`,
        RangeError,
      )
    : codedError(
        'ERR_INVALID_ARG_TYPE',
        format('The "code" argument must be of type number. Received %o', code),
        TypeError,
      );
}
const kNobody = 65534; // as who a guest's process runs
/** @type {Function | null} */
let captureUncaught = null;

/** Node's EventEmitter over `process`, made when somebody listens. @type {any} */
let emitter;
/** Signals that reach who listens (signals.js). @type {Record<string, number>} */
const kHeard = { __proto__: null, SIGINT: 2, SIGTERM: 15 };
function events() {
  if (emitter !== undefined) return emitter;
  emitter = new (part('node').load('events').EventEmitter)();
  // As in Node, where this is a listener too.
  emitter.on('newListener', function hearIfSignal(/** @type {any} */ name) {
    if (hasOwn(kHeard, name)) native.hearSignal(kHeard[name]);
    if (name === 'SIGKILL' || name === 'SIGSTOP')
      throw Object.assign(new Error('uv_signal_start EINVAL'), {
        errno: -22,
        code: 'EINVAL',
        syscall: 'uv_signal_start',
      });
  });
  return emitter;
}
/** Whether anybody listens to an event of the process. @param {string} name */
export const processListens = (name) => emitter !== undefined && emitter.listenerCount(name) > 0;
/** Whether an event of the process reaches anybody: a listener, or who put an `emit` in the place of ours (signal-exit). @param {string} name */
const processHears = (name) => processListens(name) || process.emit !== ownEmit;
/** @param {string} name @param {any[]} args */
// As Node does: by the method, which programs replace (signal-exit).
export const processEmit = (name, ...args) => /** @type {any} */ (process).emit(name, ...args);

const kHandlerThrew = 7; // Node's exit code
/**
 * Gives an error to those that listen for it: false where nobody does. One that they throw themselves ends the run.
 * @param {any} error @param {string} origin
 */
export function takeUncaught(error, origin) {
  const captures = captureUncaught !== null;
  try {
    if (!captures && processListens('uncaughtExceptionMonitor'))
      processEmit('uncaughtExceptionMonitor', error, origin);
    if (captures) applyTo(captureUncaught, process, [error]);
    else if (processListens('uncaughtException')) processEmit('uncaughtException', error, origin);
    else return false;
  } catch (thrown) {
    native.die(thrown, kHandlerThrew);
  }
  return true;
}
/** What nothing caught. @param {any} error */
function uncaught(error) {
  if (!takeUncaught(error, 'uncaughtException')) native.die(error);
}
/** Tells of a rejection: false where nobody listens. What a listener throws nobody has caught. @param {string} name @param {any[]} args */
function tell(name, ...args) {
  if (!processListens(name)) return false;
  try {
    processEmit(name, ...args);
  } catch (error) {
    uncaught(error);
  }
  return true;
}
/** @param {any} reason @param {Promise<any>} promise */
export const takeRejection = (reason, promise) => tell('unhandledRejection', reason, promise);
/** @param {Promise<any>} promise */
export const tellHandled = (promise) => tell('rejectionHandled', promise);
takeUncaughtWith(takeUncaught);

/** What is put into it becomes text. @param {Record<string, string>} variables */
function environment(variables) {
  const env = native.environment(variables);
  registerClone({ prototype: getPrototypeOf(env) }, { is: () => true, clone: (given) => ({ ...given }) });
  return env;
}

/** @param {number} fd */
function output(fd) {
  const { Writable } = part('node').load('stream');
  const stream = new Writable({
    decodeStrings: false,
    write(chunk, encoding, callback) {
      native.write(fd, typeof chunk === 'string' && !/^utf-?8$/i.test(encoding) ? Buffer.from(chunk, encoding) : chunk);
      callback();
    },
  });
  noteOutput(fd, stream);
  return Object.assign(stream, { fd, isTTY: fd === 1 ? colours.out : colours.err, columns: 80, _type: 'pipe' });
}

/** Who gets the next pieces of stdin: their bytes, none at the end. @type {{take: (bytes: Uint8Array) => void, most: number}[]} */
let readers = [];
let stdinKeeps = true;
const wantStdin = () => stdinWant(readers.length > 0 ? readers[0].most : 0, stdinKeeps);
/** Calls `take` with a piece of stdin. @param {(bytes: Uint8Array) => void} take @param {number} most bytes, above 0 */
export function readStdin(take, most) {
  ArrayPush(readers, { take, most });
  wantStdin();
}
/** Called by the event loop. @param {Uint8Array} bytes */
export function stdinPiece(bytes) {
  const [{ take }, ...others] = readers;
  readers = others;
  wantStdin();
  try {
    take(bytes);
  } catch (error) {
    reportError(error);
  }
}
function input() {
  const { Readable } = part('node').load('stream');
  /** @param {Uint8Array} bytes */
  const take = (bytes) => stream.push(bytes.length === 0 ? null : Buffer.from(bytes.buffer));
  const stop = () => {
    readers = readers.filter((reader) => reader.take !== take);
    wantStdin();
  };
  const stream = new Readable({
    highWaterMark: kStdinPiece,
    read: () => readStdin(take, kStdinPiece),
    destroy(error, callback) {
      stop();
      callback(error);
    },
  });
  const stopIfPaused = () => {
    if (stream.readableFlowing !== false || !readers.some((reader) => reader.take === take)) return;
    stop();
    stream._readableState.reading = false;
  };
  // As in Node: a stdin that is paused no longer keeps the run going. One that is paused while it gives a piece reads on in the next
  // tick, which is before the one after that.
  stream.on('pause', () => nextTick(() => nextTick(stopIfPaused)));
  /** @param {boolean} keeps */
  const keep = (keeps) => () => {
    stdinKeeps = keeps;
    wantStdin();
    return stream;
  };
  return Object.assign(stream, { fd: 0, isTTY: false, ref: keep(true), unref: keep(false) });
}

export const process = {
  title: 'postern',
  /** @type {Record<string, string>} */ env: {},
  /** @type {string[]} */ argv: [],
  argv0: 'node',
  execPath: '/usr/bin/node', // as argv[0] (channel/guest_order.h)
  execArgv: [],
  platform: 'linux',
  arch: 'x64',
  version: `v${native.nodeVersion()}`,
  versions: { node: native.nodeVersion(), v8: native.v8Version(), postern: '0.1.0' },
  release: { name: 'node' },
  features: { inspector: false, typescript: 'strip', require_module: true },
  config: { target_defaults: {}, variables: {} },
  pid: 1,
  ppid: 0,
  get exitCode() {
    return exitCode;
  },
  set exitCode(/** @type {any} */ code) {
    exitCode = wholeNumber(code);
  },
  cwd: () => directory,
  /** @param {any} [code] */
  exit(code) {
    const n = Number(wholeNumber(code ?? exitCode) ?? 0);
    if (code !== undefined) exitCode = n;
    emitExit(n);
    process.reallyExit(Number(exitCode ?? n));
  },
  /** Without listeners of 'exit'. @param {any} [code] */
  reallyExit: (code) => native.exit(Number(code ?? 0)),
  abort() {
    native.exit(134);
  },
  nextTick,
  hrtime: Object.assign(
    (/** @type {[number, number] | undefined} */ since) => {
      const ms = native.clock();
      const s = Math.floor(ms / 1000),
        ns = Math.floor((ms % 1000) * 1e6);
      if (since === undefined) return [s, ns];
      if (!Array.isArray(since))
        throw codedError('ERR_INVALID_ARG_TYPE', 'The "time" argument must be an instance of Array.', TypeError);
      if (since.length !== 2)
        throw codedError('ERR_OUT_OF_RANGE', 'The value of "time" is out of range. It must be 2 numbers.', RangeError);
      const d = s * 1e9 + ns - since[0] * 1e9 - since[1];
      return [Math.floor(d / 1e9), d % 1e9];
    },
    { bigint: () => BigInt(Math.round(native.clock() * 1e6)) },
  ),
  uptime: () => now() / 1000,
  umask(mask) {
    const before = fileMask;
    if (mask !== undefined) fileMask = part('node').load('internal/validators').parseFileMode(mask, 'mask') & 0o777;
    return before;
  },
  getuid: () => kNobody,
  geteuid: () => kNobody,
  getgid: () => kNobody,
  getegid: () => kNobody,
  getgroups: () => [kNobody],
  allowedNodeEnvironmentFlags: new Set(),
  getActiveResourcesInfo: () => [],
  ref: (/** @type {any} */ held) => void (held?.[Symbol.for('nodejs.ref')] ?? held?.ref)?.call(held),
  unref: (/** @type {any} */ held) => void (held?.[Symbol.for('nodejs.unref')] ?? held?.unref)?.call(held),
  get sourceMapsEnabled() {
    return usesOwnMaps();
  },
  /** @param {any} on */
  setSourceMapsEnabled(on) {
    if (typeof on !== 'boolean')
      throw codedError('ERR_INVALID_ARG_TYPE', 'The "enabled" argument must be of type boolean.', TypeError);
    useOwnMaps(on);
  },
  /** Gets what nobody catches, in place of listeners; null: nobody does. @param {Function | null} capture */
  setUncaughtExceptionCaptureCallback(capture) {
    if (capture !== null && typeof capture !== 'function')
      throw codedError('ERR_INVALID_ARG_TYPE', 'The "fn" argument must be of type function or null.', TypeError);
    if (capture !== null && captureUncaught !== null)
      throw codedError(
        'ERR_UNCAUGHT_EXCEPTION_CAPTURE_ALREADY_SET',
        '`process.setUncaughtExceptionCaptureCallback()` was called while a capture callback was already active',
      );
    captureUncaught = capture;
  },
  hasUncaughtExceptionCaptureCallback: () => captureUncaught !== null,
  /** Adds a .env file's variables; those that are there stay. @param {any} path */
  loadEnvFile(path = '.env') {
    const { load, nodeModule } = part('node');
    const text = nodeModule('fs').readFileSync(path, 'utf8');
    for (const [name, value] of Object.entries(load('util').parseEnv(text))) process.env[name] ??= value;
  },
  memoryUsage: Object.assign(
    function memoryUsage() {
      const [heapUsed, heapTotal, external] = native.heapUse();
      return { rss: heapTotal + external, heapTotal, heapUsed, external, arrayBuffers: external };
    },
    { rss: () => native.heapUse()[1] },
  ),
  cpuUsage(/** @type {any} */ since) {
    if (since !== undefined && (typeof since !== 'object' || since === null))
      throw codedError('ERR_INVALID_ARG_TYPE', 'The "prevValue" argument must be of type object.', TypeError);
    return { user: Math.round(now() * 1000) - (since?.user ?? 0), system: 0 };
  },
  resourceUsage() {
    /** @type {Record<string, number>} */
    const usage = { userCPUTime: Math.round(now() * 1000) };
    for (const name of (
      'systemCPUTime maxRSS sharedMemorySize unsharedDataSize unsharedStackSize minorPageFault majorPageFault swappedOut ' +
      'fsRead fsWrite ipcSent ipcReceived signalsCount voluntaryContextSwitches involuntaryContextSwitches'
    ).split(' '))
      usage[name] = 0;
    usage.maxRSS = native.heapUse()[1] / 1024;
    return usage;
  },
  constrainedMemory: () => native.heapUse()[3],
  availableMemory: () => native.heapUse()[3] - native.heapUse()[0],
  /** @param {any} warning @param {any} [type] @param {any} [code] */
  emitWarning(warning, type, code) {
    const options = typeof type === 'object' && type !== null ? type : { type, code };
    if (typeof warning !== 'string' && !(warning instanceof Error))
      throw codedError(
        'ERR_INVALID_ARG_TYPE',
        format('The "warning" argument must be of type string or an instance of Error. Received %o', warning),
        TypeError,
      );
    const error =
      warning instanceof Error ? warning : Object.assign(new Error(`${warning}`), { name: options.type ?? 'Warning' });
    if (options.code !== undefined) /** @type {any} */ (error).code = options.code;
    if (options.detail !== undefined) /** @type {any} */ (error).detail = options.detail;
    // Who runs a program cannot change what its packages call.
    if (error.name === 'DeprecationWarning' && calledByPackage()) return;
    if (processListens('warning')) return processEmit('warning', error);
    const name =
      /** @type {any} */ (error).code === undefined ? error.name : `[${/** @type {any} */ (error).code}] ${error.name}`;
    native.write(2, `(postern) ${name}: ${error.message}\n`);
  },
  /** @param {string} name */
  getBuiltinModule: (name) => part('node').nodeModule(`${name}`.replace(/^node:/, '')),
  /** @param {any} name */
  binding(name) {
    if (name === 'constants') return part('node').constants;
    throw notAvailable('process.binding', `a guest has no bindings of Node, but for 'constants'`);
  },
  dlopen() {
    throw notAvailable('process.dlopen', 'a guest loads no native code');
  },
  /** @param {string} to */
  chdir(to) {
    if (typeof to !== 'string')
      throw codedError(
        'ERR_INVALID_ARG_TYPE',
        format('The "directory" argument must be of type string. Received %o', to),
        TypeError,
      );
    directory = part('node').directoryOf(to, directory);
  },
};

/** The bits that files are made without. */
let fileMask = 0o22;
export const masked = (/** @type {number} */ mode) => mode & ~fileMask;

const kFramesLooked = 40;
/** Whether it is the code of an installed package that called the runtime. */
export function calledByPackage() {
  const frames = native.callSites(kFramesLooked);
  for (let i = 0; i < frames.length; i++) {
    const script = `${frames[i][1]}`;
    if (script.startsWith('file:')) return script.includes('/node_modules/');
  }
  return false;
}

/** @param {string} name @param {string} reason */
function notAvailable(name, reason) {
  return codedError('ERR_NOT_AVAILABLE', `${name} is not available: ${reason}`);
}

for (const name of [
  'on',
  'once',
  'off',
  'addListener',
  'removeListener',
  'removeAllListeners',
  'prependListener',
  'prependOnceListener',
  'emit',
  'listeners',
  'rawListeners',
  'listenerCount',
  'eventNames',
  'setMaxListeners',
  'getMaxListeners',
])
  // prettier-ignore
  defineProperty(process, name, {
    writable: true,
    configurable: true,
    value: {
      [name](/** @type {any[]} */ ...args) {
        const result = events()[name](...args);
        return result === emitter ? process : result;
      },
    }[name],
  });
const ownEmit = /** @type {any} */ (process).emit;
/** A property that is made when it is first read. @param {string} name @param {() => any} make */
function lazy(name, make) {
  defineProperty(process, name, {
    configurable: true,
    enumerable: true,
    get() {
      const value = make();
      defineProperty(process, name, { value, writable: true, configurable: true, enumerable: true });
      return value;
    },
    set(value) {
      defineProperty(process, name, { value, writable: true, configurable: true, enumerable: true });
    },
  });
}
lazy('stdout', () => output(1));
lazy('stderr', () => output(2));
lazy('stdin', input);
lazy('report', () => makeReport(process));
defineProperty(process, Symbol.toStringTag, { value: 'process', configurable: true });

/** The run ends: its listeners of 'exit' hear that, once. The code that it has then. @param {number} code */
function emitExit(code) {
  if (exiting) return exitCode;
  exiting = true;
  if (exitCode === undefined && code !== 0) exitCode = code;
  if (processHears('exit')) processEmit('exit', code);
  return exitCode;
}

/** The run fails: the code that it ends with, which a listener may have chosen. @param {number} code */
export function failExit(code) {
  if (!exiting) exitCode = code;
  return emitExit(code);
}

/** The loop has nothing left: whether a listener may have given it something to do. */
export function beforeExit() {
  if (exiting || !processHears('beforeExit')) return false;
  processEmit('beforeExit', exitCode ?? 0);
  return true;
}
/** The run is over: its exit code, where there is one. */
export function lastExitCode() {
  try {
    emitExit(Number(exitCode ?? 0));
  } catch (error) {
    uncaught(error);
  }
  return exitCode === undefined || exitCode === null ? undefined : Number(exitCode);
}

/** @param {{argv: string[], env: Record<string, string>, cwd: string, colours: number}} settings `colours`: 1 for stdout, 2 for stderr */
export function startProcess(settings) {
  exiting = false;
  process.argv = settings.argv;
  lazy('env', () => environment(settings.env));
  directory = settings.cwd;
  colours.out = (settings.colours & 1) !== 0;
  colours.err = (settings.colours & 2) !== 0;
}
