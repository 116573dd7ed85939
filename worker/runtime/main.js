// The runtime's entry: puts the Web APIs on the global object, and gives the C++ side its hooks.
import * as primordials from './core/primordials.js';
import { defineProperty, stringify } from './core/primordials.js';
import { AbortController, AbortSignal } from './core/abort.js';
import { Blob, File } from './web/blob.js';
import { builtinModule } from './modules/builtins.js';
import { Cache, CacheStorage, caches } from './fetch/caches.js';
import { evalScope, exportNames, importCommonJs, runMain } from './modules/commonjs.js';
import { startClock } from './core/clock.js';
import { CompressionStream, DecompressionStream } from './web/compression.js';
import { console } from './web/console.js';
import { Crypto, crypto } from './web/crypto/crypto.js';
import { CryptoKey } from './web/crypto/key.js';
import { readDataUrl } from './web/data_url.js';
import { DOMException } from './core/dom_exception.js';
import { TextDecoder, TextDecoderStream, TextEncoder, TextEncoderStream } from './web/encoding.js';
import { describeError, excerptAt, placeOf, prepareStackTrace, rejectionError, sourceError } from './core/errors.js';
import {
  CustomEvent,
  ErrorEvent,
  Event,
  EventTarget,
  PromiseRejectionEvent,
  eventHandler,
  globalEvents,
  listens,
  reportError,
} from './core/events.js';
import { EventSource } from './fetch/event_source.js';
import { fetch, setMaxRedirects } from './fetch/fetch.js';
import { FileReader, ProgressEvent } from './web/file_reader.js';
import { FormData } from './web/form_data.js';
import { handlerRequest, handlerStart, handlerWaits } from './handler.js';
import { Headers } from './fetch/headers.js';
import { colours, inspect } from './core/inspect.js';
import { BroadcastChannel, MessageChannel, MessagePort } from './web/message_channel.js';
import { queueMicrotask, runTicks } from './core/microtask.js';
import * as abort from './core/abort.js';
import * as blob from './web/blob.js';
import * as codedErrors from './core/coded_error.js';
import * as commonjs from './modules/commonjs.js';
import * as consoles from './web/console.js';
import * as cryptos from './web/crypto/crypto.js';
import * as cryptoKeys from './web/crypto/key.js';
import * as dom_exception from './core/dom_exception.js';
import * as events from './core/events.js';
import * as microtask from './core/microtask.js';
import * as objectUrls from './web/object_url.js';
import * as headerModule from './fetch/headers.js';
import * as net from './fetch/exchange.js';
import * as sockets from './fetch/sockets.js';
import * as processes from './node/process.js';
import * as subtle from './web/crypto/subtle.js';
import * as url from './web/url.js';
import { Navigator, navigator } from './web/navigator.js';
import * as parts from './core/lazy_part.js';
import { lazyGlobal, part, shareModules } from './core/lazy_part.js';
import * as perf from './web/performance.js';
import {
  beforeExit,
  failExit,
  lastExitCode,
  process,
  startProcess,
  stdinPiece,
  takeRejection,
  takeUncaught,
  tellHandled,
} from './node/process.js';
import { Request } from './fetch/request.js';
import { Response } from './fetch/response.js';
import { toJson } from './core/return_value.js';
import { processSignal } from './node/signals.js';
import './show.js';
import * as streams from './web/streams.js';
import * as structuredClones from './core/structured_clone.js';
import { markKinds, refuseClone, structuredClone } from './core/structured_clone.js';
import { SubtleCrypto } from './web/crypto/subtle.js';
import * as timers from './core/timers.js';
import { URL, URLSearchParams } from './web/url.js';
import { extendWebAssembly } from './fetch/webassembly.js';
import { CloseEvent, WebSocket } from './fetch/websocket.js';
import { MessageEvent } from './web/message_event.js';

const { setReturnValue, write } = native;

/** @param {string} name @param {any} value @param {boolean} [enumerable] */
function expose(name, value, enumerable = false) {
  if (typeof value === 'function' && value.prototype !== undefined) refuseClone(value);
  defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable });
}

for (const [name, value] of Object.entries({
  AbortController,
  AbortSignal,
  Blob,
  BroadcastChannel,
  Cache,
  CacheStorage,
  CompressionStream,
  Crypto,
  CryptoKey,
  DOMException,
  DecompressionStream,
  EventSource,
  File,
  FileReader,
  MessageChannel,
  MessagePort,
  Navigator,
  Performance: perf.Performance,
  PerformanceEntry: perf.PerformanceEntry,
  PerformanceMark: perf.PerformanceMark,
  PerformanceMeasure: perf.PerformanceMeasure,
  PerformanceObserver: perf.PerformanceObserver,
  PerformanceObserverEntryList: perf.PerformanceObserverEntryList,
  ProgressEvent,
  SubtleCrypto,
  TextDecoder,
  TextDecoderStream,
  TextEncoder,
  TextEncoderStream,
  CustomEvent,
  ErrorEvent,
  Event,
  EventTarget,
  PromiseRejectionEvent,
  FormData,
  Headers,
  Request,
  Response,
  URL,
  URLSearchParams,
  WebSocket,
  MessageEvent,
  CloseEvent,
}))
  expose(name, value);
for (const [name, value] of Object.entries(streams))
  if (name !== 'nextChunk' && name !== 'withClonedChunks') expose(name, value);
lazyGlobal('URLPattern', () => part('url_pattern').URLPattern);
for (const name of ['DOMPoint', 'DOMPointReadOnly', 'DOMRect', 'DOMRectReadOnly', 'DOMMatrix', 'DOMMatrixReadOnly'])
  lazyGlobal(name, () => part('geometry')[name]);
lazyGlobal('Buffer', () => part('node').nodeModule('buffer').Buffer);
shareModules({
  abort,
  blob,
  coded_error: codedErrors,
  commonjs,
  console: consoles,
  crypto: cryptos,
  key: cryptoKeys,
  dom_exception,
  events,
  microtask,
  exchange: net,
  headers: headerModule,
  sockets,
  object_url: objectUrls,
  lazy_part: parts,
  performance: perf,
  primordials,
  process: processes,
  streams,
  structured_clone: structuredClones,
  subtle,
  timers,
  url,
});

function atob(/** @type {any} */ text) {
  const bytes = native.atob(`${text}`);
  if (bytes === undefined) throw new DOMException('The text is not correctly encoded base64', 'InvalidCharacterError');
  return bytes;
}
function btoa(/** @type {any} */ text) {
  const encoded = native.btoa(`${text}`);
  if (encoded === undefined)
    throw new DOMException('The text has characters outside of Latin-1', 'InvalidCharacterError');
  return encoded;
}

for (const [name, value] of Object.entries({
  fetch,
  atob,
  btoa,
  queueMicrotask,
  structuredClone,
  reportError,
  setTimeout: timers.setTimeout,
  clearTimeout: timers.clearTimeout,
  setInterval: timers.setInterval,
  clearInterval: timers.clearInterval,
  setImmediate: timers.setImmediate,
  clearImmediate: timers.clearImmediate,
  addEventListener: globalEvents.addEventListener,
  removeEventListener: globalEvents.removeEventListener,
  dispatchEvent: globalEvents.dispatchEvent,
}))
  expose(name, value, true);
for (const name of ['error', 'unhandledrejection']) eventHandler(globalThis, name);
for (const [name, value] of Object.entries({
  caches,
  console,
  crypto,
  performance: perf.performance,
  process,
  navigator,
}))
  expose(name, value);
expose('self', globalThis);
expose('global', globalThis);
/** In a context of its own (worker/modules/transpiler.h). @param {any[]} given what compile in parts/typescript.js takes */
const transpile = (...given) => part('typescript').compile(...given);

/** What the last __return was given. @type {{value: any} | null} */
let returned = null;
expose('__return', function __return(/** @type {any} */ value) {
  setReturnValue(toJson(value));
  returned = { value };
});

/** [type, text] of a data: URL that is imported. @param {string} url */
function readDataModule(url) {
  const hash = url.indexOf('#');
  const found = readDataUrl(hash < 0 ? url : url.slice(0, hash));
  if (found === null) throw codedErrors.codedError('ERR_INVALID_URL', 'the data: URL is malformed', TypeError);
  return [found.type.split(';')[0], native.utf8Decode(found.bytes, false)];
}

/** Promises whose rejection a listener was told of. */
const told = new WeakSet();

/** @type {import('./native.d.ts').Hooks} */
const hooks = {
  /** In the zygote, once: what V8 adds to the context after the snapshot. */
  loaded() {
    extendWebAssembly();
    markKinds();
  },
  /** @param {any} settings */
  start(settings) {
    returned = null;
    startClock(native.clock());
    startProcess(settings);
    setMaxRedirects(settings.redirects);
  },
  // Runs in every spare, before its order, beside a whole run that it plays (Guest::Rehearse): it has its own pages then of what they write.
  warm() {
    rehearseApis();
    Math.random();
  },
  runTicks,
  runTimers: timers.runTimers,
  describeError,
  prepareStackTrace,
  /**
   * True where a listener took care of it; else an error to end the run with, or undefined for `reason` itself.
   * @param {Promise<any>} promise @param {any} reason
   */
  unhandledRejection(promise, reason) {
    told.add(promise);
    if (listens(globalEvents.target, 'unhandledrejection')) {
      const event = new PromiseRejectionEvent('unhandledrejection', { promise, reason, cancelable: true });
      if (!globalEvents.dispatchEvent(event)) return true;
    }
    const error = rejectionError(reason);
    return takeRejection(reason, promise) || takeUncaught(error ?? reason, 'unhandledRejection') || error;
  },
  /** A promise has a handler now: who was told that it had none is told that too. @param {Promise<any>} promise */
  rejectionHandled(promise) {
    if (!told.delete(promise)) return;
    if (listens(globalEvents.target, 'rejectionhandled')) {
      const reason = native.promiseState(promise)[1];
      globalEvents.dispatchEvent(new PromiseRejectionEvent('rejectionhandled', { promise, reason }));
    }
    tellHandled(promise);
  },
  /** What nothing caught: whether somebody listens for it. Modules run in promises. @param {any} error @param {boolean} rejected */
  uncaughtException: (error, rejected) => takeUncaught(error, rejected ? 'unhandledRejection' : 'uncaughtException'),
  beforeExit,
  exits: failExit,
  exitCode: lastExitCode,
  /** What `postern eval` shows and returns. @param {any} value @param {boolean} print */
  evalResult(value, print) {
    if (returned !== null) value = returned.value;
    if (print && value !== undefined)
      write(1, `${typeof value === 'string' ? value : inspect(value, { colors: colours.out })}\n`);
    if (returned !== null) return;
    let json;
    try {
      json = toJson(value);
    } catch {
      json = stringify(inspect(value));
    }
    setReturnValue(json);
  },
  builtinModule,
  readDataModule,
  evalScope,
  exportNames,
  importCommonJs,
  runMain,
  transpile,
  sourceError,
  excerptAt,
  placeOf,
  handlerStart,
  handlerRequest,
  handlerWaits,
  netResponse: net.netResponse,
  netTrailers: net.netTrailers,
  netReadable: net.netReadable,
  netCollected: net.netCollected,
  netWritable: net.netWritable,
  netFailure: net.netFailure,
  stdinPiece,
  processSignal,
};
export default hooks;

/** What many runs call, for nothing: V8 compiles a function when it is first called. */
function rehearseApis() {
  timers.clearTimeout(timers.setTimeout(() => {}, 1e6));
  new Headers([['a', 'b']]).get('a');
  new Response('x', { headers: { a: 'b' } });
  new Request('http://localhost/');
}
/** The same of what every run calls. */
function rehearseRun() {
  toJson(1);
  hooks.start({ argv: [], env: { a: '' }, cwd: '/', redirects: 20, colours: 0 });
  runTicks();
  beforeExit();
  lastExitCode();
  takeUncaught(undefined, '');
  startProcess({ argv: [], env: {}, cwd: '/', colours: 0 });
}
// Now, so that the snapshot keeps their code.
rehearseApis();
rehearseRun();
startClock(0);
