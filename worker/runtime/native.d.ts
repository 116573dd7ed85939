// The boundary between the runtime's JavaScript and C++: the natives, which JavaScript calls, and
// the hooks, which C++ calls. tests/whole_program/test_native_types.py holds it to both sides.
//
// What a native gives is said for arguments of the types that it asks for. What is of another type
// counts as that type's default, and nothing is converted (worker/native/arguments.h). Where memory
// is short, or a text longer than a string can be, a native throws.

/** What natives read bytes from and write them to. */
export type Bytes = ArrayBuffer | ArrayBufferView;
/** Bytes that a native or C++ has made. */
export type NewBytes = Uint8Array<ArrayBuffer>;

declare const kind: unique symbol;
/** An object of C++'s, which JavaScript only keeps and hands back. */
export interface Handle<Kind extends string> {
  readonly [kind]: Kind;
}
export type CertificateHandle = Handle<'certificate'>;
export type CipherHandle = Handle<'cipher'>;
export type CodecHandle = Handle<'codec'>;
/** A hash or an HMAC. */
export type HashHandle = Handle<'hash'>;
/** A public key, or a private one with its public part. */
export type KeyHandle = Handle<'key'>;

/** What a URL is made of, as its getters give it. */
export type UrlParts = [
  href: string,
  protocol: string,
  username: string,
  password: string,
  host: string,
  hostname: string,
  port: string,
  pathname: string,
  search: string,
  hash: string,
  origin: string,
];

/** 0: pending, 1: fulfilled, 2: rejected. */
export type PromiseState = [state: 0, result: undefined] | [state: 1 | 2, result: unknown];

/**
 * For an object of the runtime's own: gives its clone, or the object itself where that is to be
 * transferred. Then it is called once more, with `transfer`, and gives what takes its place.
 */
export type CloneHost = (object: object, transfer: boolean) => object;

/** `code` as in "Z_DATA_ERROR"; `number`: zlib's, -1 of the others. */
export type CodecError = [message: string, code: string, number: number];

/** Sizes are bytes; `tagged`: it seals what it encrypts with a tag. */
export type CipherInfo = [
  name: string,
  keySize: number,
  ivSize: number,
  blockSize: number,
  mode: 'stream' | 'ecb' | 'cbc' | 'cfb' | 'ofb' | 'ctr' | 'gcm',
  tagged: boolean,
];

/** "" for what a certificate does not have; `purposes`: object identifiers, one a line. */
export type CertificateTexts = [
  subject: string,
  issuer: string,
  subjectAltName: string,
  infoAccess: string,
  purposes: string,
  validFrom: string,
  validTo: string,
  serialNumber: string,
  signatureAlgorithm: string,
  signatureAlgorithmOid: string,
  pem: string,
  ca: 'ca' | '',
];

/** "typescript": it is TypeScript, or has JSX. */
export type ModuleFormat = 'json' | `${'module' | 'commonjs'}${'' | ' typescript'}`;

/** The body of a CommonJS module. */
export type CommonJsBody = (
  exports: unknown,
  require: unknown,
  module: unknown,
  filename: string,
  dirname: string,
) => unknown;

/** What lies at a path. Times are milliseconds since 1970. */
export interface FileLook {
  kind: 'file' | 'directory' | 'link' | 'other';
  size: number;
  mode: number;
  accessed: number;
  modified: number;
  changed: number;
  writable: boolean;
  /** The path without links. */
  real: string;
  /** Where a link leads; "" of anything else. */
  target: string;
  inode: number;
  device: number;
}

/** What async_hooks.js keeps along with promises: from a storage to its value. */
export type ContinuationData = Map<object, unknown> | undefined;

/** Names and values of header fields in turn; a unit is a byte. */
export type Fields = string[];
/** `true`: netWrite and netEndWrite follow; `undefined`: there is no body. */
export type OutgoingBody = Bytes | true | undefined;

export interface Natives {
  // text.cc

  utf8Decode(bytes: Bytes, fatal: false): string;
  /** undefined: malformed, where that is fatal. */
  utf8Decode(bytes: Bytes, fatal: boolean): string | undefined;
  /** How many bytes end with a whole character. */
  utf8Prefix(bytes: Bytes): number;
  utf8Encode(text: string): NewBytes;
  /** `read` counts units of the text, `written` bytes. */
  utf8EncodeInto(text: string, bytes: Bytes): [read: number, written: number];
  /** A unit a byte. */
  latin1Decode(bytes: Bytes): string;
  /** undefined: a unit is above 255. */
  btoa(text: string): string | undefined;
  /** A unit a byte; undefined: malformed. */
  atob(text: string): string | undefined;

  // url.cc

  /** undefined: it is no URL. */
  urlParse(input: string, base?: string): UrlParts | undefined;
  /** `part`: an index of UrlParts, but not the origin's. undefined: a new href is no URL. */
  urlSet(href: string, part: number, value: string): UrlParts | undefined;

  // system.cc

  /** Monotonic milliseconds, as coarse as a guest may know them. */
  clock(): number;
  /** Monotonic milliseconds, for the runtime's own timers. */
  now(): number;
  /** runTimers is called at `due`, which is milliseconds by now(); Infinity: it is not. */
  setTimer(due: number, keepsRunning: boolean): void;
  /** Runs the microtasks, between two timers. */
  microtasks(): void;
  /** runTicks is called before the next microtask that is not yet queued. */
  wantTicks(): void;
  /** Fills them from the kernel's source. */
  random(bytes: Bytes): void;
  /** 2 is stderr, all else stdout. Waits while its reader is slow. */
  write(fd: number, data: string | ArrayBufferView): void;
  /** stdinPiece is called with `most` bytes at most; 0: it is not. */
  stdinWant(most: number, keepsRunning: boolean): void;
  /** Waits for bytes, `most` at most; none at the end. */
  stdinRead(most: number): NewBytes;
  /** processSignal is called for it from now on. */
  hearSignal(number: number): void;
  exit(code: number): never;
  /** The run ends as if nobody had caught the error; with 1, where no code is given. */
  die(error: unknown, code?: number): never;
  setReturnValue(json: string): void;
  /** The text of a part of the runtime, as a function of parameters with these names. */
  part(name: string, ...parameters: string[]): (...given: unknown[]) => unknown;
  /** An object of the same properties, in which whatever is put becomes text. */
  environment(variables: Record<string, string>): Record<string, string>;
  promiseState(promise: Promise<unknown>): PromiseState;
  /** `pairs`: keys and values in turn. undefined: it is no collection and no iterator of one. */
  previewEntries(value: unknown): [entries: unknown[], pairs: boolean] | undefined;
  /** null both, once it is revoked; undefined: it is no proxy. */
  proxyDetails(value: unknown): [target: object | null, handler: object | null] | undefined;

  // clone.cc

  /** What inherits from it is cloned by clone's host. */
  markPlatform(prototype: object): void;
  /** A structured clone; throws an Error with V8's words. */
  clone(value: unknown, transfer: ArrayBuffer[], host: CloneHost): unknown;
  /** In V8's format, as Node has it. */
  serialize(value: unknown, bufferPrototype: object): NewBytes;
  deserialize(bytes: Bytes, bufferPrototype: object): unknown;

  // codec.cc: modes and flushes as zlib.constants numbers them

  /** Of zlib's modes; what cannot be its first step says. */
  codecOpen(
    mode: number,
    windowBits: number,
    level?: number,
    memoryLevel?: number,
    strategy?: number,
    dictionary?: Bytes,
  ): CodecHandle;
  /** Of the others: values by parameter, 2 ** 32 - 1 for none; undefined: they cannot be. */
  codecOpen(mode: number, parameters?: Uint32Array): CodecHandle | undefined;
  /** state: [bytes left of output, bytes left of input, 1 at the coding's end]. */
  codecStep(
    codec: CodecHandle,
    flush: number,
    input: Bytes,
    inputAt: number,
    inputSize: number,
    output: Bytes,
    outputAt: number,
    outputSize: number,
    state: Uint32Array,
  ): CodecError | undefined;
  /** As it was when it was opened; whether that worked. */
  codecReset(codec: CodecHandle): boolean;
  /** Of deflate alone; whether that worked. */
  codecParams(codec: CodecHandle, level: number, strategy: number): boolean;
  /** `value`: of the bytes before, 0 of none. */
  crc32(bytes: Bytes, value: number): number;

  // crypto.cc: sizes are bytes; hashes and ciphers have OpenSSL's names. Here and in the next three
  // undefined is what OpenSSL refuses, and an argument of more than 2 ** 30 bytes a RangeError.

  digest(hash: string, bytes: Bytes): NewBytes | undefined;
  /** `size`: of what it gives, for the extendable ones. */
  hashOpen(hash: string, size?: number): HashHandle | undefined;
  hmacOpen(hash: string, key: Bytes): HashHandle | undefined;
  /** Throws where hashDigest was called. */
  hashUpdate(hash: HashHandle, bytes: Bytes): void;
  /** Another that goes on from here. undefined: an HMAC, or one whose hashDigest was called. */
  hashCopy(hash: HashHandle, size?: number): HashHandle | undefined;
  /** Throws the second time. */
  hashDigest(hash: HashHandle): NewBytes | undefined;
  hashNames(): string[];
  hmac(hash: string, key: Bytes, bytes: Bytes): NewBytes | undefined;
  /** In a time that does not tell where they differ. */
  equal(one: Bytes, other: Bytes): boolean;
  pbkdf2(hash: string, password: Bytes, salt: Bytes, iterations: number, size: number): NewBytes | undefined;
  hkdf(hash: string, key: Bytes, salt: Bytes, info: Bytes, size: number): NewBytes | undefined;
  /** `memory`: bytes that it may use. */
  scrypt(
    password: Bytes,
    salt: Bytes,
    N: number,
    r: number,
    p: number,
    memory: number,
    size: number,
  ): NewBytes | undefined;
  cipherInfo(cipher: string): CipherInfo | undefined;
  cipherNames(): string[];
  cipherOpen(cipher: string, encrypt: boolean, key: Bytes, iv: Bytes): CipherHandle | undefined;
  cipherUpdate(cipher: CipherHandle, bytes: Bytes): NewBytes | undefined;
  /** What is not encrypted, and sealed with the rest; whether that worked. */
  cipherAuthenticate(cipher: CipherHandle, bytes: Bytes): boolean;
  /** The last bytes, or OpenSSL's words for what is wrong; undefined the second time. */
  cipherFinal(cipher: CipherHandle): NewBytes | string | undefined;
  /** The tag of what was encrypted. */
  cipherTag(cipher: CipherHandle, size: number): NewBytes | undefined;
  /** The tag that is to be checked; whether that worked. undefined: the cipher has none. */
  cipherTag(cipher: CipherHandle, tag: Bytes): boolean | undefined;
  cipherPadding(cipher: CipherHandle, on: boolean): void;
  /** `tagSize`: of GCM, whose tag stands at the end of what is encrypted. */
  aes(
    mode: 'CBC' | 'CTR' | 'GCM' | 'WRAP',
    encrypt: boolean,
    key: Bytes,
    iv: Bytes,
    data: Bytes,
    additionalData: Bytes,
    tagSize: number,
  ): NewBytes | undefined;
  /** undefined, too, where the counter would repeat. */
  aesCtr(key: Bytes, counter: Bytes, counterBits: number, data: Bytes): NewBytes | undefined;

  // keys.cc

  keyGenerate(kind: 'RSA', bits: number, exponent: number): KeyHandle | undefined;
  keyGenerate(kind: 'EC', curve: string): KeyHandle | undefined;
  /** Of ED25519, X25519, ED448 and X448. */
  keyGenerate(kind: string): KeyHandle | undefined;
  keyImport(format: 'spki' | 'pkcs8', bytes: Bytes): KeyHandle | undefined;
  /** Of ED25519, X25519, ED448 and X448. */
  keyRaw(kind: string, isPrivate: boolean, bytes: Bytes): KeyHandle | undefined;
  /** [n, e] or [n, e, d, p, q, dp, dq, qi] */
  keyRsa(parts: Bytes[]): KeyHandle | undefined;
  /** A point of no bytes is made of the secret. */
  keyEc(curve: string, point: Bytes, secret: Uint8Array | undefined): KeyHandle | undefined;
  /** `curve`: "" but for EC. */
  keyInfo(key: KeyHandle): [kind: string, bits: number, curve: string];
  /** Of RSA as keyRsa takes them, of EC [x, y, d], of the others [x, d]; those that it has. */
  keyParts(key: KeyHandle, withPrivate: boolean): NewBytes[];
  curveNames(): string[];
  keyExport(key: KeyHandle, format: 'spki' | 'pkcs8'): NewBytes | undefined;
  /** false: a passphrase is needed, and not given. */
  keyRead(
    bytes: Bytes,
    format: 'PEM' | 'DER' | 'CERTIFICATE',
    half: 'private' | 'public',
    passphrase: Uint8Array | undefined,
  ): KeyHandle | false | undefined;
  /** `structure`: OpenSSL's name of it. `passphrase` is for the cipher. */
  keyWrite(
    key: KeyHandle,
    format: 'PEM' | 'DER',
    structure: string,
    half: 'private' | 'public',
    cipher: string | undefined,
    passphrase: Bytes | undefined,
  ): NewBytes | undefined;
  /** Whether their public parts are the same. */
  keyEqual(one: KeyHandle, other: KeyHandle): boolean;
  /** hash undefined: what the key's kind takes. saltSize -2: as long as can be. asDer: of ECDSA. */
  sign(
    key: KeyHandle,
    hash: string | undefined,
    data: Bytes,
    padding?: 'PKCS1' | 'PSS',
    saltSize?: number,
    asDer?: boolean,
  ): NewBytes | undefined;
  /** As sign, but for saltSize -2: whatever the signature has. */
  verify(
    key: KeyHandle,
    hash: string | undefined,
    data: Bytes,
    padding: 'PKCS1' | 'PSS' | undefined,
    saltSize: number,
    asDer: boolean,
    signature: Bytes,
  ): boolean;
  rsaOaep(key: KeyHandle, use: 'encrypt' | 'decrypt', hash: string, label: Bytes, data: Bytes): NewBytes | undefined;
  /** `padded`: by PKCS #1, or else not at all. */
  rsa(
    key: KeyHandle,
    use: 'encrypt' | 'decrypt' | 'sign' | 'recover',
    padded: boolean,
    data: Bytes,
  ): NewBytes | undefined;
  /** The secret that both share. */
  agree(own: KeyHandle, other: KeyHandle): NewBytes | undefined;

  // numbers.cc: numbers are bytes, the highest first

  /** undefined, too, where there is no prime with that remainder. */
  primeGenerate(
    bits: number,
    safe: boolean,
    add: Uint8Array | undefined,
    remainder: Uint8Array | undefined,
  ): NewBytes | undefined;
  /** `rounds` 0: as many as its size needs. */
  primeCheck(candidate: Bytes, rounds: number): boolean;
  /** As many bytes as the modulus has. */
  powerModulo(base: Bytes, exponent: Bytes, modulus: Bytes): NewBytes | undefined;
  /** By its name of RFC 3526. */
  groupPrime(group: string): NewBytes | undefined;
  /** Flags of OpenSSL's DH_check; 0: nothing is wrong. */
  groupCheck(prime: Bytes, generator: Bytes): number;

  // certificates.cc

  /** PEM or DER. */
  certificateRead(bytes: Bytes): CertificateHandle | undefined;
  certificateTexts(certificate: CertificateHandle): CertificateTexts;
  /** Short names of attributes and their values, in turn. */
  certificateNames(certificate: CertificateHandle, ofIssuer: boolean): string[];
  certificateDer(certificate: CertificateHandle): NewBytes | undefined;
  /** Seconds since 1970. */
  certificateTimes(certificate: CertificateHandle): [validFrom: number, validTo: number];
  /** undefined: OpenSSL does not know its kind. */
  certificateKey(certificate: CertificateHandle): KeyHandle | undefined;
  /** The name that it is for; undefined: it is not for this one. false: this is no name. */
  certificateIsFor(
    certificate: CertificateHandle,
    what: 'host' | 'email' | 'ip',
    name: string,
    flags: number,
  ): string | false | undefined;
  /** Whether it may have issued that one. */
  certificateIssued(issuer: CertificateHandle, certificate: CertificateHandle): boolean;
  /** Whether it is of this key. */
  certificateHas(certificate: CertificateHandle, key: KeyHandle): boolean;
  /** Whether this key has signed it. */
  certificateVerify(certificate: CertificateHandle, key: KeyHandle): boolean;

  // modules.cc: what cannot be found or read throws an Error with `code`

  /** A URL, of what a URL imports or requires. */
  moduleResolve(specifier: string, importer: string, forRequire: boolean): string;
  moduleFormat(path: string): ModuleFormat;
  /** As JavaScript. */
  moduleSource(path: string, format: ModuleFormat): string;
  compileCommonJs(source: string, url: string): CommonJsBody;
  /** The namespace of an ES module. */
  requireModule(url: string): Record<string, unknown>;
  urlOfPath(path: string): string;
  /** "": it has none. */
  pathOfUrl(url: string): string;
  /** Where a script's source map is, or its JSON; "": it has none. undefined: no guest runs. */
  sourceMapOf(url: string): string | undefined;
  /** undefined: it cannot be read. */
  readText(path: string): string | undefined;

  // files.cc: paths are absolute; what fails throws an Error with `code`

  /** follow false: a link itself. */
  fileLook(path: string, follow?: boolean): FileLook;
  /** `offset` and `length` are bytes; length -1: all. */
  fileRead(path: string, offset: number, length: number): NewBytes;
  /** The JSON of [[name, kind], …], with FileLook's kinds. */
  fileList(path: string): string;
  /** how: 0 write, 1 new, 2 append, 3 update, 4 whole. size: to cut it to, -1 for none. */
  fileWrite(path: string, bytes: Bytes, how: number, offset: number, size: number, mode: number): void;
  /** `all`: with what is missing above. */
  fileMakeDirectory(path: string, all: boolean, mode: number): void;
  /** `all`: with what is beneath. */
  fileRemove(path: string, directory: boolean, all: boolean): void;
  fileMove(from: string, to: string): void;
  /** Milliseconds since 1970. */
  fileSetTimes(path: string, accessed: number, modified: number): void;

  // buffer.cc: offsets and lengths are bytes, and cut to what there is

  utf8Slice(bytes: Bytes, from?: number, to?: number): string;
  latin1Slice(bytes: Bytes, from?: number, to?: number): string;
  asciiSlice(bytes: Bytes, from?: number, to?: number): string;
  ucs2Slice(bytes: Bytes, from?: number, to?: number): string;
  hexSlice(bytes: Bytes, from?: number, to?: number): string;
  base64Slice(bytes: Bytes, from?: number, to?: number): string;
  base64urlSlice(bytes: Bytes, from?: number, to?: number): string;
  /** How many bytes were written; so do all that write. */
  utf8Write(bytes: Bytes, text: string, offset?: number, length?: number): number;
  latin1Write(bytes: Bytes, text: string, offset?: number, length?: number): number;
  ucs2Write(bytes: Bytes, text: string, offset?: number, length?: number): number;
  hexWrite(bytes: Bytes, text: string, offset?: number, length?: number): number;
  /** Of either alphabet. */
  base64Write(bytes: Bytes, text: string, offset?: number, length?: number): number;
  byteLengthUtf8(text: string): number;
  compareBytes(one: Bytes, other: Bytes): -1 | 0 | 1;
  compareOffset(
    source: Bytes,
    target: Bytes,
    targetStart: number,
    sourceStart: number,
    targetEnd: number,
    sourceEnd: number,
  ): -1 | 0 | 1;
  /** How many bytes were copied. */
  copyBytes(source: Bytes, target: Bytes, targetStart: number, sourceStart: number, size: number): number;
  /** -2: out of range; -1: there is nothing to fill with. */
  fillBytes(
    bytes: Bytes,
    value: string | number | ArrayBufferView,
    start: number,
    end: number,
    encoding?: string,
  ): -2 | -1 | undefined;
  /** `encoding` as bindings.js numbers them; -1: it is not there. */
  indexOfString(
    bytes: Bytes,
    text: string,
    offset: number,
    encoding: number | undefined,
    forwards: boolean,
    end?: number,
  ): number;
  indexOfBuffer(
    bytes: Bytes,
    sought: Bytes,
    offset: number,
    encoding: number | undefined,
    forwards: boolean,
    end?: number,
  ): number;
  indexOfNumber(bytes: Bytes, byte: number, offset: number, forwards: boolean, end?: number): number;
  /** In place. */
  swap16<T extends Bytes>(bytes: T): T;
  swap32<T extends Bytes>(bytes: T): T;
  swap64<T extends Bytes>(bytes: T): T;
  isAscii(bytes: Bytes): boolean;
  /** Zeroed all the same. */
  createUnsafeArrayBuffer(size: number): ArrayBuffer;
  bufferLimits(): [mostBytes: number, mostUnits: number];

  // types.cc: what a value is inside of V8, whatever its prototype says

  isExternal(value: unknown): boolean;
  isDate(value: unknown): value is Date;
  isArgumentsObject(value: unknown): value is IArguments;
  isBigIntObject(value: unknown): boolean;
  isBooleanObject(value: unknown): boolean;
  isNumberObject(value: unknown): boolean;
  isStringObject(value: unknown): boolean;
  isSymbolObject(value: unknown): boolean;
  isBoxedPrimitive(value: unknown): boolean;
  isNativeError(value: unknown): value is Error;
  isRegExp(value: unknown): value is RegExp;
  isAsyncFunction(value: unknown): boolean;
  isGeneratorFunction(value: unknown): boolean;
  isGeneratorObject(value: unknown): boolean;
  isPromise(value: unknown): value is Promise<unknown>;
  isMap(value: unknown): value is Map<unknown, unknown>;
  isSet(value: unknown): value is Set<unknown>;
  isMapIterator(value: unknown): boolean;
  isSetIterator(value: unknown): boolean;
  isWeakMap(value: unknown): value is WeakMap<WeakKey, unknown>;
  isWeakSet(value: unknown): value is WeakSet<WeakKey>;
  isArrayBuffer(value: unknown): value is ArrayBuffer;
  isDataView(value: unknown): value is DataView;
  isSharedArrayBuffer(value: unknown): value is SharedArrayBuffer;
  isProxy(value: unknown): boolean;
  isModuleNamespaceObject(value: unknown): boolean;
  isAnyArrayBuffer(value: unknown): value is ArrayBufferLike;
  /** `filter`: bits of V8's PropertyFilter, as 2 for the enumerable ones only. */
  ownNonIndexProperties(object: object, filter: number): (string | symbol)[];
  constructorName(object: object): string;
  isConstructor(value: unknown): boolean;
  /** Nobody is told of its rejection. */
  markHandled(promise: Promise<unknown>): void;
  getContinuationData(): ContinuationData;
  setContinuationData(data: ContinuationData): void;
  nodeVersion(): string;
  libcVersion(): string;
  v8Version(): string;
  /** Who called the caller; 10 of them, where `most` is not given. */
  callSites(most?: number): [functionName: string, script: string, line: number, column: number][];
  /** Bytes; `external`: outside of V8's heap. */
  heapUse(): [used: number, total: number, external: number, limit: number];

  // net.cc: exchanges by an id that JavaScript gives, or handlerRequest

  /** endless: no time limits it, once it is open. raw: the body that comes is not decoded. */
  netFetch(id: number, fields: Fields, body: OutgoingBody, endless: boolean, raw: boolean): void;
  /** 0, or the bytes that wait: netWritable is called then. all: 0 only where none waits. */
  netWrite(id: number, bytes: Bytes, all: boolean): number;
  netEndWrite(id: number): void;
  /** Its number on the channel; 0: it has none. */
  netStream(id: number): number;
  /** null: netReadable is called later; undefined: the end. */
  netRead(id: number): NewBytes | null | undefined;
  /** netCollected is called with the whole body. */
  netCollect(id: number): void;
  netCancel(id: number): void;
  /** Whether the run goes on for its sake. */
  netRef(id: number, ref: boolean): void;
  /** Throws a RangeError where the fields are too many. */
  handlerRespond(id: number, fields: Fields, body: OutgoingBody): void;
}

/** Of a run (channel/guest_order.h). */
export interface Settings {
  argv: string[];
  env: Record<string, string>;
  cwd: string;
  /** How many redirects fetch follows. */
  redirects: number;
  /** The sum of 1, where stdout is shown on a terminal, and 2, where stderr is. */
  colours: number;
}

/** A frame, as V8 gives it to prepareStackTrace. */
export interface CallSite {
  getScriptNameOrSourceURL(): string | null | undefined;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
  toString(): string;
}

/** "" for what there is not. `code` is that of the cause before the error's own. */
export type ErrorDescription = [
  name: string,
  message: string,
  stack: string,
  code: string,
  causeMessage: string,
  shown: string,
  excerpt: string,
];

/** JavaScript with its source map as JSON, "" where places stay; or where it is no TypeScript. */
export type Transpiled =
  [text: string, sourceMap: string, isModule: boolean] | [message: string, line: number, column: number];

export interface Hooks {
  /** Once, in the zygote: the context is there. */
  loaded(): void;
  /** A run begins. */
  start(settings: Settings): void;
  /** In every spare, before it knows its run. */
  warm(): void;
  /** wantTicks was called, and the microtasks are next. */
  runTicks(): void;
  /** The time of setTimer has come. */
  runTimers(): void;
  describeError(error: unknown): ErrorDescription;
  /** An error's `stack`: what the guest's own Error.prepareStackTrace gives may be anything. */
  prepareStackTrace(error: unknown, sites: CallSite[]): unknown;
  /** true: a listener took care of it. Else the run ends with the error, or with `reason`. */
  unhandledRejection(promise: Promise<unknown>, reason: unknown): true | Error | undefined;
  /** Its rejection was told of, and is handled now. */
  rejectionHandled(promise: Promise<unknown>): void;
  /** Whether somebody listens for it. */
  uncaughtException(error: unknown, rejected: boolean): boolean;
  /** Whether a listener may have given the loop something to do. */
  beforeExit(): boolean;
  /** The run fails with `code`; a whole number but 0 takes its place. */
  exits(code: number): number | string | null | undefined;
  /** undefined: the guest has set none. */
  exitCode(): number | undefined;
  /** The value of `postern eval`, which is shown where `print` says so. */
  evalResult(value: unknown, print: boolean): void;
  /** The exports by name; throws where there is no such module. */
  builtinModule(url: string, importer: string): Record<string, unknown>;
  readDataModule(url: string): [type: string, text: string];
  /** require, module and exports become globals. */
  evalScope(url: string): void;
  /** Of a CommonJS module, by its source. */
  exportNames(url: string): string[];
  importCommonJs(url: string): unknown;
  runMain(url: string, source: string): void;
  /** `options`: compilerOptions of a tsconfig.json as JSON. Lines and columns are from 1. */
  transpile(source: string, path: string, url: string, kind: 'module' | 'commonjs' | '', options: string): Transpiled;
  /** `text`: the line that is wrong. */
  sourceError(code: string, message: string, url: string, line: number, column: number, text: string): Error;
  /** The lines that show a place of a script; "": C++ shows it itself. */
  excerptAt(url: string, line: number, column: number): string;
  /** ":line:column" of what was written; "": it was added. */
  placeOf(url: string, line: number, column: number): string;
  /** The module of a handler has run. */
  handlerStart(namespace: Record<string, unknown>): void;
  handlerRequest(id: number, fields: Fields, hasBody: boolean): void;
  /** Whether a promise that was given to waitUntil has not settled. */
  handlerWaits(): boolean;
  netResponse(
    id: number,
    status: number,
    statusText: string,
    fields: Fields,
    connection: string,
    upgraded: boolean,
  ): void;
  netTrailers(id: number, fields: Fields): void;
  netReadable(id: number): void;
  netCollected(id: number, bytes: NewBytes): void;
  netWritable(id: number): void;
  netFailure(id: number, code: string, message: string, error: string): void;
  /** No bytes: the end. */
  stdinPiece(bytes: NewBytes): void;
  processSignal(number: number): void;
}

declare global {
  const native: Natives;
}
