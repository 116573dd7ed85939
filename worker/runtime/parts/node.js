// Node's own modules: their exports by name, without "node:". What is neither Node's lib/ nor ours is absent (docs/runtime.md).
import nodeConstants from 'node-constants';
import { AbortController, AbortSignal } from '../core/abort.js';
import { isBlob, Blob, File } from '../web/blob.js';
import { Module } from '../modules/commonjs.js';
import { console } from '../web/console.js';
import { isCryptoKey } from '../web/crypto/key.js';
import { EventTarget, Event } from '../core/events.js';
import { queueMicrotask } from '../core/microtask.js';
import { part } from '../core/lazy_part.js';
import * as performance from '../web/performance.js';
import { process } from '../node/process.js';
import * as streams from '../web/streams.js';
import { absent, absentModules } from '../node/absent.js';
import * as asyncHooks from '../node/async_hooks.js';
import { setLazyLoader } from '../node/bindings.js';
import { crypto } from '../node/crypto.js';
import { dns } from '../node/dns.js';
import { files } from '../node/device_files.js';
import { attempt, fail, pathOf } from '../node/file_paths.js';
import { DirentFromStats, fs } from '../node/fs.js';
import { http } from '../node/http.js';
import { load, replace } from '../node/loader.js';
import { net, tls } from '../node/net.js';
import { os } from '../node/os.js';
import { blobOfUrl as resolveObjectURL } from '../web/object_url.js';
import * as timers from '../node/timers.js';
import { internalUrl } from '../node/url.js';

setLazyLoader(load);

const noDebug = () => Object.assign(() => {}, { enabled: false });

// Inside Node's lib/, by id.
replace({
  'internal/options': () => ({
    getOptionValue: (name) =>
      name === '--pending-deprecation' ? false : name === '--stack-trace-limit' ? 10 : undefined,
    getEmbedderOptions: () => ({}),
    getAllowUnauthorized: () => false,
    refreshOptions() {},
  }),
  'internal/util/debuglog': () => ({ debuglog: noDebug, debugWithTimer: noDebug, initializeDebugEnv() {} }),
  'internal/v8/startup_snapshot': () => ({
    isBuildingSnapshot: () => false,
    addSerializeCallback() {},
    addDeserializeCallback() {},
    addAfterUserSerializeDeserializeSnapshot() {},
    namespace: { isBuildingSnapshot: () => false, addDeserializeCallback() {}, addSerializeCallback() {} },
  }),
  'internal/process/warning': () => ({
    emitWarning: (...args) => process.emitWarning(...args),
    emitWarningSync: (...args) => process.emitWarning(...args),
    createWarningObject: (message) => new Error(message),
  }),
  'internal/url': internalUrl,
  'internal/abort_controller': () => ({
    AbortController,
    AbortSignal,
    aborted,
    transferableAbortController: absent('util', 'transferableAbortController', 'a guest has one thread'),
    transferableAbortSignal: absent('util', 'transferableAbortSignal', 'a guest has one thread'),
  }),
  'internal/event_target': () => ({
    EventTarget,
    Event,
    isEventTarget: (value) => value instanceof EventTarget,
    kEvents: Symbol('kEvents'),
    kWeakHandler: Symbol('kWeakHandler'),
    kResistStopPropagation: Symbol('kResistStopPropagation'),
    initEventTarget() {},
    defineEventHandler() {},
  }),
  'internal/async_hooks': () => ({
    enabledHooksExist: () => false,
    owner_symbol: Symbol('owner_symbol'),
    async_id_symbol: Symbol('async_id_symbol'),
    symbols: new Proxy({}, { get: (target, name) => (target[name] ??= Symbol(String(name))) }),
    defaultTriggerAsyncIdScope: (_id, block, ...args) => block(...args),
    getDefaultTriggerAsyncId: () => 0,
    newAsyncId: () => 1,
    getOrSetAsyncId: () => 1,
    emitInit() {},
    emitBefore() {},
    emitAfter() {},
    emitDestroy() {},
  }),
  'internal/process/task_queues': () => ({ queueMicrotask, nextTick: process.nextTick, setupTaskQueue() {} }),
  'internal/blob': () => ({ isBlob, Blob, File, resolveObjectURL }),
  'internal/file': () => ({ File }),
  'internal/crypto/keys': () => ({ isKeyObject: (value) => value instanceof modules.crypto().KeyObject, isCryptoKey }),
  'internal/source_map/source_map_cache': () => ({
    findSourceMap: () => undefined,
    getSourceMapsSupport: () => ({ enabled: false }),
  }),
  'internal/source_map/source_map_cache_map': () => ({}),
  'internal/bootstrap/realm': () => ({
    BuiltinModule: {
      exists: (id) => id.startsWith('internal/') || names.includes(id),
      canBeRequiredByUsers: (id) => names.includes(id),
      canBeRequiredWithoutScheme: (id) => names.includes(id),
      normalizeRequirableId: (id) => (names.includes(id.replace(/^node:/, '')) ? id.replace(/^node:/, '') : undefined),
    },
  }),
  'internal/modules/helpers': () => ({ getBuiltinModule: (id) => nodeModule(id.replace(/^node:/, '')) }),
  'internal/encoding': () => ({ TextDecoder, TextEncoder }),
  'internal/errors/error_source': () => ({ getErrorSourceExpression: callText }),
  'internal/webstreams/adapters': () => adapters(),
  'internal/perf/utils': () => ({ now: performance.now }),
  'internal/zip': () => zipClasses(),
  'internal/timers': () => ({
    TIMEOUT_MAX: 2 ** 31 - 1,
    setUnrefTimeout: (callback, delay) => timers.module.setTimeout(callback, delay).unref(),
  }),
  'internal/perf/observe': () => ({ hasObserver: () => false, startPerf() {}, stopPerf() {} }),
  'internal/net': () => ({ isIP: net.isIP, isIPv4: net.isIPv4, isIPv6: net.isIPv6 }),
  net: () => net,
  'internal/util/trace_sigint': () => ({ setTraceSigInt() {} }),
  'internal/fs/utils': () => ({ DirentFromStats }),
  'internal/process/permission': () => ({ isEnabled: () => false }),
  async_hooks: () => ({ ...asyncHooks }),
  fs: () => fs,
  'fs/promises': () => fs.promises,
  os,
  timers: () => timers.module,
});

/** util.aborted: when the signal is aborted; never, where `resource` is gone by then. @param {any} signal @param {any} resource */
async function aborted(signal, resource) {
  const { validateAbortSignal, validateObject, kValidateObjectAllowObjects } = load('internal/validators');
  if (signal === undefined)
    throw new (load('internal/errors').codes.ERR_INVALID_ARG_TYPE)('signal', 'AbortSignal', signal);
  validateAbortSignal(signal, 'signal');
  validateObject(resource, 'resource', kValidateObjectAllowObjects);
  if (signal.aborted) return undefined;
  const alive = new WeakRef(resource);
  return new Promise((resolve) =>
    signal.addEventListener('abort', (event) => alive.deref() !== undefined && resolve(event), { once: true }),
  );
}

/** The text of the call that an error was made in, for assert's message. @param {any} error */
function callText(error) {
  const [, url, line, column] = /(file:\/\/\S+?):(\d+):(\d+)/.exec(`${error.stack}`) ?? [];
  const text = url === undefined ? undefined : native.readText(native.pathOfUrl(url))?.split('\n')[Number(line) - 1];
  if (text === undefined) return 'assert(…)';
  let from = Number(column) - 1;
  while (from > 0 && /[\w$.]/.test(text[from - 1])) from--;
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '(') depth++;
    if (text[at] === ')' && --depth === 0) return text.slice(from, at + 1);
  }
  return text.slice(from);
}

/** node:zlib's experimental ZIP archives, which need files. */
function zipClasses() {
  const reason = 'ZIP archives are experimental in Node';
  return new Proxy({}, { get: (target, name) => (target[name] ??= absent('zlib', String(name), reason)) });
}

/** What node:module has besides the loader (commonjs.js). */
function moduleFunctions() {
  const { validateObject, validateOneOf, validateString } = load('internal/validators');
  const compileCacheStatus = { __proto__: null, FAILED: 0, ENABLED: 1, ALREADY_ENABLED: 2, DISABLED: 3 };
  return Object.assign(Module, {
    constants: { __proto__: null, compileCacheStatus },
    // A guest keeps nothing for the next one.
    enableCompileCache: () => ({ status: compileCacheStatus.DISABLED }),
    getCompileCacheDir: () => undefined,
    flushCompileCache() {},
    stripTypeScriptTypes(code, options = {}) {
      validateString(code, 'code');
      validateObject(options, 'options');
      const { mode = 'strip', sourceUrl } = options;
      validateOneOf(mode, 'options.mode', ['strip']);
      const stripped = part('typescript').stripTypes(code, sourceUrl ?? 'code');
      return sourceUrl === undefined ? stripped : `${stripped}\n\n//# sourceURL=${sourceUrl}`;
    },
  });
}

/** Between Node's streams and the web's (Readable.fromWeb and the like). */
function adapters() {
  const { Readable, Writable, Duplex } = load('stream');
  const { finished } = load('stream');
  const newReadableStreamFromStreamReadable = (readable, options = {}) => {
    const objects = readable.readableObjectMode;
    readable.pause();
    return new streams.ReadableStream(
      {
        type: objects ? undefined : options.type,
        start(controller) {
          readable.on('data', (chunk) => {
            controller.enqueue(Buffer.isBuffer(chunk) && !objects ? new Uint8Array(chunk) : chunk);
            if (controller.desiredSize <= 0) readable.pause();
          });
          finished(readable, { writable: false }, (error) => {
            if (error && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') return controller.error(error);
            if (error) return controller.error(error);
            try {
              controller.close();
            } catch {
              // canceled
            }
          });
          readable.pause();
        },
        pull: () => readable.resume(),
        cancel: (reason) => readable.destroy(reason instanceof Error ? reason : undefined),
      },
      options.strategy ?? {
        highWaterMark: objects ? 16 : 65536,
        size: objects ? undefined : (chunk) => chunk?.byteLength ?? 1,
      },
    );
  };
  const newStreamReadableFromReadableStream = (stream, options = {}) => {
    const reader = stream.getReader();
    let over = false;
    const readable = new Readable({
      ...options,
      read() {
        reader.read().then(
          ({ done, value }) => {
            over = done;
            readable.push(done ? null : value);
          },
          (error) => readable.destroy(error),
        );
      },
      destroy(error, callback) {
        if (over) return callback(error);
        reader.cancel(error ?? undefined).then(
          () => callback(error),
          () => callback(error),
        );
      },
    });
    return readable;
  };
  const newWritableStreamFromStreamWritable = (writable) =>
    new streams.WritableStream({
      start(controller) {
        finished(writable, { readable: false }, (error) => error && controller.error(error));
      },
      write: (chunk) =>
        new Promise((resolve, reject) =>
          writable.write(chunk, (error) => (error ? reject(error) : resolve(undefined))),
        ),
      close: () =>
        new Promise((resolve, reject) => writable.end((error) => (error ? reject(error) : resolve(undefined)))),
      abort: (reason) => writable.destroy(reason),
    });
  const newStreamWritableFromWritableStream = (stream, options = {}) => {
    const writer = stream.getWriter();
    return new Writable({
      ...options,
      write: (chunk, encoding, callback) =>
        writer.write(typeof chunk === 'string' && !options.objectMode ? Buffer.from(chunk, encoding) : chunk).then(
          () => callback(),
          (error) => callback(error),
        ),
      final: (callback) =>
        writer.close().then(
          () => callback(),
          (error) => callback(error),
        ),
      destroy(error, callback) {
        if (error === null) return callback(null);
        writer.abort(error).then(
          () => callback(error),
          () => callback(error),
        );
      },
    });
  };
  return {
    newReadableStreamFromStreamReadable,
    newStreamReadableFromReadableStream,
    newWritableStreamFromStreamWritable,
    newStreamWritableFromWritableStream,
    newReadableWritablePairFromDuplex: (duplex) => ({
      readable: newReadableStreamFromStreamReadable(duplex),
      writable: newWritableStreamFromStreamWritable(duplex),
    }),
    newStreamDuplexFromReadableWritablePair: ({ readable, writable }, options = {}) =>
      Duplex.from({
        readable: newStreamReadableFromReadableStream(readable, options),
        writable: newStreamWritableFromWritableStream(writable, options),
      }),
  };
}

/** What process.constructor is. */
const processClass = {
  process() {
    throw new TypeError('Illegal constructor');
  },
}.process;

const fromLib = (id) => () => load(id);

/** By name; made when it is first asked for. @type {Record<string, () => any>} */
const modules = {
  __proto__: null,
  ...absentModules,
  assert: fromLib('assert'),
  'assert/strict': () => load('assert').strict,
  async_hooks: () => load('async_hooks'),
  buffer: fromLib('buffer'),
  console: () => {
    const { Console } = load('internal/console/constructor');
    // Node's way to know one: a symbol of its own.
    const marks = Object.getOwnPropertySymbols(new Console(process.stdout));
    for (const mark of marks.filter(({ description }) => description === 'kIsConsole'))
      Object.defineProperty(console, mark, { value: true, configurable: true });
    return Object.defineProperty(console, 'Console', { value: Console, writable: true, configurable: true });
  },
  constants: () => {
    const { os, fs, crypto } = nodeConstants;
    return { ...os.dlopen, ...os.errno, ...os.priority, ...os.signals, ...fs, ...crypto };
  },
  crypto,
  dns: () => dns,
  'dns/promises': () => dns.promises,
  diagnostics_channel: fromLib('diagnostics_channel'),
  events() {
    const EventEmitter = load('events');
    Object.setPrototypeOf(process, Object.create(EventEmitter.prototype, { constructor: { value: processClass } }));
    return EventEmitter;
  },
  fs: () => fs,
  'fs/promises': () => fs.promises,
  http: () => http('http'),
  https: () => http('https'),
  module: () => moduleFunctions(),
  net: () => net,
  tls: () => tls,
  os,
  path: fromLib('path'),
  'path/posix': () => load('path').posix,
  'path/win32': () => load('path').win32,
  perf_hooks: () => ({
    ...Object.fromEntries(Object.entries(performance).filter(([name]) => /^Performance/.test(name))),
    performance: performance.performance,
    constants: {},
  }),
  process: () => process,
  punycode: fromLib('punycode'),
  querystring: fromLib('querystring'),
  readline: () => readlines().readline,
  'readline/promises': () => readlines().promises,
  stream: fromLib('stream'),
  'stream/promises': fromLib('stream/promises'),
  'stream/consumers': () => consumers,
  'stream/web': () => webStreams(),
  string_decoder: fromLib('string_decoder'),
  sys: fromLib('util'),
  timers: () => timers.module,
  'timers/promises': () => timers.promises,
  url: fromLib('url'),
  util: fromLib('util'),
  'util/types': () => load('internal/util/types'),
  zlib: fromLib('zlib'),
};

const webStreams = () => {
  const { nextChunk, withClonedChunks, ...classes } = streams;
  return { ...classes, TextEncoderStream, TextDecoderStream, CompressionStream, DecompressionStream };
};

/**
 * node:readline and its promises. Where stdin comes from a terminal, that echoes what is typed: to a guest it is a pipe, which it cannot
 * silence. So readline edits no line of it, unless it is told to.
 */
/** @type {{readline: any, promises: any} | undefined} */
let knownReadlines;
function readlines() {
  if (knownReadlines !== undefined) return knownReadlines;
  const all = { readline: load('readline'), promises: load('readline/promises') };
  const asPipe = (args) => {
    const given = args[0]?.input ? args[0] : { input: args[0], output: args[1], completer: args[2], terminal: args[3] };
    return given.input === process.stdin && given.terminal === undefined ? [{ ...given, terminal: false }] : args;
  };
  for (const module of Object.values(all)) {
    const { Interface, createInterface } = module;
    module.Interface = new Proxy(Interface, {
      construct: (target, args, made) => Reflect.construct(target, asPipe(args), made),
      apply: (target, self, args) => Reflect.apply(target, self, asPipe(args)),
    });
    module.createInterface = (...args) => createInterface(...asPipe(args));
  }
  return (knownReadlines = all);
}

/** What a stream, of Node's or the web's, gives in all. */
const gathered = async (stream) => {
  const { Buffer } = load('buffer');
  const chunks = [];
  for await (const chunk of stream) chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  return Buffer.concat(chunks);
};
const consumers = {
  buffer: gathered,
  arrayBuffer: async (stream) => {
    const bytes = await gathered(stream);
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  },
  bytes: async (stream) => new Uint8Array(await gathered(stream)),
  blob: async (stream) => new Blob([await gathered(stream)]),
  text: async (stream) => new TextDecoder().decode(await gathered(stream)),
  json: async (stream) => JSON.parse(new TextDecoder().decode(await gathered(stream))),
};

export const names = Object.keys(modules).sort();
/** What Node's own has for exports, also those that are not here. @param {string} name @returns {string[]} */
export const exportNames = (name) => nodeConstants.exports[name] ?? [];

/** @type {Record<string, any>} */
const made = { __proto__: null };
/** The exports of node:NAME; undefined where there is none. @param {string} name */
export function nodeModule(name) {
  if (modules[name] === undefined) return undefined;
  return (made[name] ??= modules[name]());
}
/** What process.binding('constants') is. */
export const constants = { os: nodeConstants.os, fs: nodeConstants.fs, crypto: nodeConstants.crypto, zlib: nodeConstants.zlib, trace: {} };
/** The full path of a directory to go to. @param {string} to @param {string} from */
export function directoryOf(to, from) {
  const at = pathOf(from);
  const dest = pathOf(to);
  const { kind } = attempt('chdir', at, (_, full) => files.look(full), dest);
  if (kind !== 'directory') throw fail('ENOTDIR', 'not a directory', 'chdir', at, dest);
  return dest.full;
}
export { load };
