// What Node's lib/ finds under internalBinding(NAME), as far as the modules that are loaded ask for it.
import { formatUrl, toUnicode } from './url.js';
import { DOMException } from '../core/dom_exception.js';
import constants from 'node-constants';
import { calledByPackage } from './process.js';
import { zlibBinding } from './zlib_binding.js';

const errnos = constants.os.errno;

const encodings = ['ascii', 'utf8', 'base64', 'utf16le', 'latin1', 'hex', 'buffer', 'base64url'];
const [kMaxLength, kStringMaxLength] = native.bufferLimits();

/** @type {Record<string, (load: (id: string) => any) => any>} */
export const bindings = {
  __proto__: null,
  buffer: () => ({
    kMaxLength,
    kStringMaxLength,
    setBufferPrototype() {},
    getZeroFillToggle() {},
    byteLengthUtf8: native.byteLengthUtf8,
    compare: native.compareBytes,
    compareOffset: native.compareOffset,
    copy: native.copyBytes,
    copyArrayBuffer: (to, toOffset, from, fromOffset, size) =>
      new Uint8Array(to, toOffset, size).set(new Uint8Array(from, fromOffset, size)),
    // A native converts nothing: what valueOf does to the bytes is done before.
    fill: (bytes, value, start, end, encoding) =>
      native.fillBytes(
        bytes,
        typeof value === 'string' || ArrayBuffer.isView(value) ? value : value >>> 0,
        start,
        end,
        encoding,
      ),
    isAscii: native.isAscii,
    isUtf8: (bytes) => native.utf8Decode(bytes, true) !== undefined,
    indexOfBuffer: native.indexOfBuffer,
    indexOfNumber: native.indexOfNumber,
    indexOfString: native.indexOfString,
    swap16: native.swap16,
    swap32: native.swap32,
    swap64: native.swap64,
    atob: (text) => native.atob(text) ?? -1,
    btoa: (text) => native.btoa(text) ?? -1,
    asciiSlice: native.asciiSlice,
    base64Slice: native.base64Slice,
    base64urlSlice: native.base64urlSlice,
    latin1Slice: native.latin1Slice,
    hexSlice: native.hexSlice,
    ucs2Slice: native.ucs2Slice,
    utf8Slice: native.utf8Slice,
    asciiWriteStatic: native.latin1Write,
    base64Write: native.base64Write,
    base64urlWrite: native.base64Write,
    latin1WriteStatic: native.latin1Write,
    hexWrite: native.hexWrite,
    ucs2Write: native.ucs2Write,
    utf8WriteStatic: native.utf8Write,
    arrayBufferAlignedOffset: (bytes, align) => (align - (bytes % align)) % align,
    createUnsafeArrayBuffer: native.createUnsafeArrayBuffer,
    setDetachKey() {},
  }),
  util: () => utilBinding,
  types: () => ({
    isExternal: native.isExternal,
    isDate: native.isDate,
    isArgumentsObject: native.isArgumentsObject,
    isBigIntObject: native.isBigIntObject,
    isBooleanObject: native.isBooleanObject,
    isNumberObject: native.isNumberObject,
    isStringObject: native.isStringObject,
    isSymbolObject: native.isSymbolObject,
    isBoxedPrimitive: native.isBoxedPrimitive,
    isNativeError: native.isNativeError,
    isRegExp: native.isRegExp,
    isAsyncFunction: native.isAsyncFunction,
    isGeneratorFunction: native.isGeneratorFunction,
    isGeneratorObject: native.isGeneratorObject,
    isPromise: native.isPromise,
    isMap: native.isMap,
    isSet: native.isSet,
    isMapIterator: native.isMapIterator,
    isSetIterator: native.isSetIterator,
    isWeakMap: native.isWeakMap,
    isWeakSet: native.isWeakSet,
    isArrayBuffer: native.isArrayBuffer,
    isDataView: native.isDataView,
    isSharedArrayBuffer: native.isSharedArrayBuffer,
    isProxy: native.isProxy,
    isModuleNamespaceObject: native.isModuleNamespaceObject,
    isAnyArrayBuffer: native.isAnyArrayBuffer,
    isEventTarget: (value) => value instanceof EventTarget,
  }),
  config: () => ({
    hasIntl: true,
    hasSmallICU: false,
    hasInspector: false,
    hasOpenSSL: true,
    fipsMode: false,
    bits: 64,
  }),
  icu: () => ({
    icuErrName: () => 'U_ILLEGAL_ARGUMENT_ERROR',
    transcode: transcode,
    getStringWidth: (text) => stringWidth(text),
    hasConverter: () => false,
    toASCII: (domain) => native.urlParse(`http://${domain}`)?.[5] ?? '',
  }),
  string_decoder: (load) => stringDecoder(load),
  encoding_binding: () => ({
    toASCII: (domain) => native.urlParse(`http://${domain}`)?.[5] ?? '',
    toUnicode,
    encodeUtf8String: native.utf8Encode,
  }),
  url: () => urlBinding,
  url_pattern: () => ({
    get URLPattern() {
      return globalThis.URLPattern;
    },
  }),
  zlib: zlibBinding,
  constants: () => ({
    ...constants,
    trace: {},
  }),
  errors: () => ({
    triggerUncaughtException: (error) => native.die(error),
    exitCodes: { kNoFailure: 0, kGenericUserError: 1 },
    setPrepareStackTraceCallback() {},
    noSideEffectsToString: String,
    getErrorSourcePositions: () => undefined,
    setSourceMapsEnabled() {},
  }),
  diagnostics_channel: () => ({
    subscribers: new Uint32Array(1024),
    linkNativeChannel() {},
    getOrCreateChannelIndex: () => 0,
  }),
  uv: () => uvBinding,
  os: () => ({
    getOSInformation: () => ['Linux', '', '', 'x86_64'],
  }),
  messaging: () => ({ DOMException, structuredClone: globalThis.structuredClone }),
  profiler: () => ({}),
  timers: () => ({ getLibuvNow: () => native.now(), now: () => native.now() }),
  async_context_frame: () => ({
    getContinuationPreservedEmbedderData: native.getContinuationData,
    setContinuationPreservedEmbedderData: native.setContinuationData,
  }),
  trace_events: () => ({
    trace() {},
    usePerfetto: false,
    getCategoryEnabledBuffer: () => new Uint8Array(1),
    isTraceCategoryEnabled: () => false,
    setTraceCategoryStateUpdateHandler() {},
  }),
  // Servers never have a connection (servers.js), so nothing is parsed.
  http_parser: () => ({ ...constants.http, allMethods: constants.http.METHODS, methods: constants.http.METHODS, HTTPParser: class {}, ConnectionsList }),
  symbols: () => new Proxy({}, { get: (target, name) => (target[name] ??= Symbol(String(name))) }),
  stream_wrap: () => ({ streamBaseState: [], kReadBytesOrError: 0, kArrayBufferOffset: 1, kLastWriteWasAsync: 2 }),
};

/** @param {any} target @param {string} id @param {string[]} keys @param {boolean} enumerable @param {(id: string) => any} load */
function defineLazy(target, id, keys, enumerable, load) {
  for (const key of keys) {
    const set = (value) =>
      Object.defineProperty(target, key, { __proto__: null, value, writable: true, configurable: true, enumerable });
    Object.defineProperty(target, key, {
      __proto__: null,
      configurable: true,
      enumerable,
      get() {
        const value = load(id)[key];
        set(value);
        return value;
      },
      set,
    });
  }
}

const utilBinding = {
  constants: {
    kPending: 0,
    kFulfilled: 1,
    kRejected: 2,
    kExiting: 0,
    kExitCode: 1,
    kHasExitCode: 2,
    ALL_PROPERTIES: 0,
    ONLY_WRITABLE: 1,
    ONLY_ENUMERABLE: 2,
    ONLY_CONFIGURABLE: 4,
    SKIP_STRINGS: 8,
    SKIP_SYMBOLS: 16,
    kDisallowCloneAndTransfer: 0,
    kTransferable: 1,
    kCloneable: 2,
  },
  privateSymbols: new Proxy({}, { get: (target, name) => (target[name] ??= Symbol(String(name))) }),
  getOwnNonIndexProperties: native.ownNonIndexProperties,
  getConstructorName: native.constructorName,
  getExternalValue: () => 0n,
  getPromiseDetails: (promise) => native.promiseState(promise),
  getProxyDetails(value, both = true) {
    const details = native.proxyDetails(value);
    return details === undefined || both ? details : details[0];
  },
  previewEntries(value, isIterator) {
    const preview = native.previewEntries(value);
    if (preview === undefined) return undefined;
    return isIterator ? preview : preview[0];
  },
  getCallerLocation: () => undefined,
  isConstructor: native.isConstructor,
  isInsideNodeModules: calledByPackage,
  guessHandleType: () => 'PIPE',
  toUSVString: (text) => `${text}`.toWellFormed(),
  getCallSites: (most) =>
    native.callSites(most).map(([functionName, scriptName, lineNumber, columnNumber]) => ({
      functionName,
      scriptId: '0',
      scriptName,
      lineNumber,
      columnNumber,
      column: columnNumber,
    })),
  markPromiseAsHandled: native.markHandled,
  sleep() {
    throw new Error('a guest cannot sleep without an await');
  },
  defineLazyProperties: undefined,
  shouldAbortOnUncaughtToggle: [0],
  arrayBufferViewHasBuffer: () => true,
  parseEnv,
  WeakReference: class {
    constructor(value) {
      this.ref = new WeakRef(value);
    }
    get() {
      return this.ref.deref();
    }
    incRef() {}
    decRef() {}
  },
};
export const setLazyLoader = (load) => {
  utilBinding.defineLazyProperties = (target, id, keys, enumerable = true) =>
    defineLazy(target, id, keys, enumerable, load);
};

/** A .env file's text. @param {string} text */
function parseEnv(text) {
  const values = {};
  const line = /^\s*(?:export\s+)?([\w.-]+)\s*=\s*("(?:\\.|[^"\\])*"|'[^']*'|`[^`]*`|[^#\r\n]*)/gm;
  for (const [, name, given] of text.matchAll(line)) {
    const value = given.trim();
    const quoted = /^(["'`])([\s\S]*)\1$/.exec(value);
    values[name] = quoted === null ? value : quoted[1] === '"' ? quoted[2].replace(/\\n/g, '\n') : quoted[2];
  }
  return values;
}

/** Columns that a text takes in a terminal. @param {string} text */
function stringWidth(text) {
  let width = 0;
  for (const character of text.normalize('NFC')) {
    const code = character.codePointAt(0);
    if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(character)) continue;
    const wide =
      (code >= 0x1100 && code <= 0x115f) ||
      (code >= 0x2e80 && code <= 0xa4cf) ||
      (code >= 0xac00 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) ||
      (code >= 0xfe30 && code <= 0xfe6f) ||
      (code >= 0xff00 && code <= 0xff60) ||
      (code >= 0xffe0 && code <= 0xffe6) ||
      (code >= 0x1f300 && code <= 0x1faff) ||
      (code >= 0x20000 && code <= 0x3fffd);
    width += wide ? 2 : 1;
  }
  return width;
}

/** @param {Uint8Array} source @param {string} from @param {string} to */
function transcode(source, from, to) {
  const text = Buffer.from(source).toString(from);
  // What the other has no character for is "?".
  const fit = to === 'latin1' || to === 'binary' ? /[^\0-\xff]/g : to === 'ascii' ? /[^\0-\x7f]/g : undefined;
  return Buffer.from(fit === undefined ? text : text.replace(fit, '?'), to);
}

/** Node's StringDecoder keeps its state in a few bytes: the start of a character, how many it misses, how many there are. */
function stringDecoder(load) {
  const kMissingBytes = 4,
    kBufferedBytes = 5,
    kEncodingField = 6;
  const ENCODING = { UTF8: 1, BASE64: 2, UCS2: 3, BASE64URL: 7 };
  const text = (encoding, bytes) => {
    const { Buffer } = load('buffer');
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encodings[encoding]);
  };
  /** How many bytes at the end begin a character that is not whole, and how many it has. */
  const incomplete = (encoding, bytes) => {
    const n = bytes.length;
    if (encoding === ENCODING.UTF8) {
      for (let back = 1; back <= Math.min(3, n); back++) {
        const c = bytes[n - back];
        if ((c & 0xc0) === 0x80) continue;
        const size = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 1;
        return size > back ? [back, size] : [0, 0];
      }
      return [0, 0];
    }
    if (encoding === ENCODING.UCS2) {
      if (n % 2 === 1) return [1, 2];
      return n >= 2 && (bytes[n - 1] & 0xfc) === 0xd8 ? [2, 4] : [0, 0];
    }
    return n % 3 === 0 ? [0, 0] : [n % 3, 3];
  };
  return {
    encodings,
    kIncompleteCharactersStart: 0,
    kIncompleteCharactersEnd: 4,
    kMissingBytes,
    kBufferedBytes,
    kEncodingField,
    kNumFields: 7,
    kSize: 7,
    decode(state, chunk) {
      const given = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const encoding = state[kEncodingField];
      if (![1, 2, 3, 7].includes(encoding)) return text(encoding, given);
      const held = state[kBufferedBytes];
      const bytes = new Uint8Array(held + given.length);
      bytes.set(state.subarray(0, held));
      bytes.set(given, held);
      const [kept, size] = incomplete(encoding, bytes);
      state.set(bytes.subarray(bytes.length - kept));
      state[kBufferedBytes] = kept;
      state[kMissingBytes] = size - kept;
      return text(encoding, bytes.subarray(0, bytes.length - kept));
    },
    flush(state) {
      const held = state[kBufferedBytes];
      const encoding = state[kEncodingField];
      state[kBufferedBytes] = state[kMissingBytes] = 0;
      return text(encoding, state.slice(0, encoding === ENCODING.UCS2 ? held & ~1 : held));
    },
  };
}

const urlBinding = {
  parse: (input, base) => native.urlParse(input, base)?.[0],
  canParse: (input, base) => native.urlParse(input, base) !== undefined,
  domainToASCII: (domain) => native.urlParse(`ws://${domain}`)?.[5] ?? '',
  domainToUnicode: (domain) => toUnicode(native.urlParse(`ws://${domain}`)?.[5] ?? ''),
  format: formatUrl,
};

/** The connections of a server: there are none. */
class ConnectionsList {
  all() {
    return [];
  }
  idle() {
    return [];
  }
  active() {
    return [];
  }
  expired() {
    return [];
  }
}

const uvBinding = {
  UV_EOF: -4095,
  errname: (number) => Object.keys(errnos).find((name) => errnos[name] === -number) ?? `Unknown system error ${number}`,
  getErrorMap: () => new Map(constants.errors),
  getErrorMessage: (number) => new Map(constants.errors).get(number)?.[1] ?? uvBinding.errname(number),
};
for (const [name, number] of Object.entries(errnos)) uvBinding[`UV_${name}`] = -number;
