// Node's modules that make no sense in a guest: what is called throws at once, with a sentence that says why.

import { codedError } from '../core/coded_error.js';
import { load } from './loader.js';
import constants from 'node-constants';

/** By module: why, and what is there instead; then the names of what a program would call. */
const reasons = {
  child_process: [
    'a guest cannot start processes',
    'ChildProcess exec execFile execFileSync execSync fork spawn spawnSync',
  ],
  cluster: ['a guest is one process', 'Worker fork setupPrimary setupMaster disconnect'],
  worker_threads: [
    'a guest has one thread; give the work to another guest (postern serve)',
    'Worker moveMessagePortToContext receiveMessageOnPort getEnvironmentData setEnvironmentData',
  ],
  vm: [
    'a guest cannot make contexts; use new Function for code in this one',
    'Script createContext runInContext runInNewContext runInThisContext compileFunction SourceTextModule isContext',
  ],
  inspector: ['a guest cannot be inspected', 'open close url waitForDebugger Session'],
  'inspector/promises': ['a guest cannot be inspected', 'open close url waitForDebugger Session'],
  dgram: ['a guest has no UDP', 'createSocket Socket'],
  http2: [
    'node:http2 is not available; fetch speaks HTTP/2 where the origin does',
    'connect createServer createSecureServer Http2ServerRequest Http2ServerResponse performServerHandshake',
  ],
  repl: ['a guest has no terminal', 'start REPLServer Recoverable writer'],
  trace_events: ['a guest cannot be traced', 'createTracing getEnabledCategories'],
  tty: ['a guest has no terminal', 'ReadStream WriteStream'],
  v8: [
    'V8 cannot be steered from a guest',
    'setFlagsFromString writeHeapSnapshot getHeapSnapshot takeCoverage stopCoverage startupSnapshot',
  ],
  wasi: ['a guest has no WASI; WebAssembly itself is there', 'WASI'],
  domain: ['domains are not available; use AsyncLocalStorage', 'create createDomain Domain'],
};

/** @param {string} module @param {string} name @param {string} reason */
export function refusal(module, name, reason) {
  return codedError('ERR_NOT_AVAILABLE', `${module}.${name} is not available: ${reason}`);
}

/** A function, or class, that throws. @param {string} module @param {string} name @param {string} reason */
export function absent(module, name, reason) {
  const refuse = {
    [name]: function () {
      throw refusal(module, name, reason);
    },
  }[name];
  // For tests/whole_program/guests/runtime_surface.mjs, which lists what is there.
  return Object.defineProperty(refuse, Symbol.for('postern.absent'), { value: reason });
}

export const absentModules = Object.fromEntries(
  Object.entries(reasons).map(([module, [reason, names]]) => [
    module,
    () => {
      const exports = {};
      for (const name of names.split(' ')) exports[name] = absent(module, name, reason);
      return more[module] === undefined ? exports : more[module](exports);
    },
  ]),
);

/** What of them can be told all the same: the module, of what is absent from it. @type {Record<string, (absent: any) => any>} */
const more = {
  http2: (absent) => ({ ...absent, constants: constants.http2, sensitiveHeaders: Symbol('sensitiveHeaders') }),
  // Programs listen for its workers, whether or not they have any (log4js).
  cluster: (absent) =>
    Object.assign(new (load('events').EventEmitter)(), absent, {
      isMaster: true,
      isPrimary: true,
      isWorker: false,
      workers: {},
      settings: {},
    }),
  worker_threads: (absent) => ({
    ...absent,
    isMainThread: true,
    isInternalThread: false,
    parentPort: null,
    workerData: null,
    threadId: 0,
    resourceLimits: {},
    SHARE_ENV: Symbol.for('nodejs.worker_threads.SHARE_ENV'),
    MessageChannel,
    MessagePort,
    BroadcastChannel,
  }),
  // Programs ask the class, without a stream, whether what is printed may have colours.
  tty: (absent) => {
    const { getColorDepth, hasColors } = load('internal/tty');
    Object.assign(absent.WriteStream.prototype, { isTTY: true, getColorDepth, hasColors });
    return { ...absent, isatty: () => false };
  },
  v8: (absent) => ({
    ...absent,
    /** In V8's format, as Node does. @param {any} value */
    serialize(value) {
      const { buffer } = native.serialize(value, Buffer.prototype);
      return Buffer.from(buffer);
    },
    /** @param {any} bytes */
    deserialize(bytes) {
      if (!ArrayBuffer.isView(bytes))
        throw codedError('ERR_INVALID_ARG_TYPE', 'buffer must be a TypedArray or a DataView', TypeError);
      return native.deserialize(bytes, Buffer.prototype);
    },
    getHeapStatistics() {
      const [used, total, external, limit] = native.heapUse();
      return {
        total_heap_size: total,
        used_heap_size: used,
        heap_size_limit: limit,
        external_memory: external,
        malloced_memory: 0,
        peak_malloced_memory: 0,
        total_available_size: limit - used,
      };
    },
  }),
};
