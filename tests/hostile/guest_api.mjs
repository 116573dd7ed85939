// Calls what a plain guest reaches of the natives, with hostile values: the functions of Node's modules and of the Web API, their
// classes' methods, and what lies beneath (zlib's _handle). argv is a seed and the calls of each.
import crypto from 'node:crypto';
import zlib from 'node:zlib';
import { few, forgetCanaries, random, spoiled, values } from './values.mjs';

const seed = Number(process.argv[2] ?? 1);
const times = Number(process.argv[3] ?? 20);

// What ends the run, waits, or is slow with large numbers by nature: by name.
const leaveOut =
  /^(exit|abort|kill|reallyExit|_?debug.*|setUncaughtExceptionCaptureCallback|chdir|queueMicrotask|nextTick|generate(Key|Prime).*|checkPrime.*|read|readSync|opendir.*|watch.*|_processChunk|inspect|log|mock.*)$/;
const smallNumbers = /scrypt|pbkdf2|prime|generate|alloc|repeat|padStart|random|concat|fill|Dirichlet|DiffieHellman/i;

const pair = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
const cbc = () => crypto.createCipheriv('aes-256-cbc', new Uint8Array(32), new Uint8Array(16));
const gcm = () => crypto.createDecipheriv('aes-256-gcm', new Uint8Array(32), new Uint8Array(12));
const streams = [
  'createGzip',
  'createGunzip',
  'createDeflateRaw',
  'createInflate',
  'createUnzip',
  'createBrotliCompress',
  'createBrotliDecompress',
  'createZstdCompress',
  'createZstdDecompress',
];

/** What is looked into: a name, and what makes the object on which its functions are called. */
const targets = {
  Buffer: () => Buffer,
  'Buffer.prototype': () => Buffer.alloc(64, 1),
  'a SharedArrayBuffer': () => new SharedArrayBuffer(64, { maxByteLength: 4096 }),
  'a Buffer over a shared one': () => Buffer.from(new SharedArrayBuffer(64)),
  'a Buffer over a resizable one': () => Buffer.from(new ArrayBuffer(64, { maxByteLength: 4096 })),
  crypto: () => crypto,
  Hash: () => crypto.createHash('sha256'),
  'an extendable Hash': () => crypto.createHash('shake256', { outputLength: 50 }),
  Hmac: () => crypto.createHmac('sha1', 'key'),
  Cipheriv: cbc,
  Decipheriv: gcm,
  Sign: () => crypto.createSign('sha256'),
  Verify: () => crypto.createVerify('sha256'),
  ECDH: () => crypto.createECDH('prime256v1'),
  DiffieHellman: () => crypto.getDiffieHellman('modp1'),
  KeyObject: () => pair.privateKey,
  subtle: () => crypto.subtle,
  zlib: () => zlib,
  ...Object.fromEntries(streams.map((name) => [name, () => zlib[name]()])),
  ...Object.fromEntries(streams.map((name) => [`${name}._handle`, () => zlib[name]()._handle])),
  ...Object.fromEntries(['fs', 'v8', 'url', 'util', 'util/types', 'path', 'querystring', 'string_decoder', 'buffer', 'os', 'async_hooks', 'module'].map((name) => [name, () => process.getBuiltinModule(`node:${name}`)])),
  TextEncoder: () => new TextEncoder(),
  TextDecoder: () => new TextDecoder(),
  URL: () => new URL('http://x/'),
  'the global object': () => ({ structuredClone, atob, btoa, fetch }),
}; // prettier-ignore

/** The functions of an object and of what it inherits. */
function functionsOf(object) {
  const names = new Set();
  for (
    let at = object;
    at !== null && at !== Object.prototype && at !== Function.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    for (const name of Object.getOwnPropertyNames(at))
      if (name !== 'constructor' && !leaveOut.test(name)) names.add(name);
  }
  return [...names].filter((name) => {
    try {
      return typeof object[name] === 'function';
    } catch {
      return false;
    }
  });
}

process.on('uncaughtException', () => {});
process.on('unhandledRejection', () => {});
const counts = { calls: 0, threw: 0, functions: 0 };
const quiet = () => {};
for (const [at, [target, make]] of Object.entries(targets).entries()) {
  for (const [n, name] of functionsOf(make()).entries()) {
    counts.functions++;
    process.stderr.write(`${target}.${name}\n`);
    const r = random(seed * 1000003 + at * 1009 + n);
    for (let i = 0; i < times; i++) {
      const object = make();
      const all = values(r, r.below(6), { only: smallNumbers.test(name) ? few : undefined });
      counts.calls++;
      try {
        object.on?.('error', quiet);
        const self = r.below(8) === 0 ? values(r, 1)[0] : object;
        const result = r.below(4) === 0 ? Reflect.construct(object[name], all) : Reflect.apply(object[name], self, all);
        if (typeof result?.then === 'function') Promise.resolve(result).then(quiet, quiet);
        result?.on?.('error', quiet);
      } catch {
        counts.threw++;
      }
      if (spoiled()) throw new Error(`${target}.${name} wrote to memory that was not its own`);
    }
  }
  // What was asked for later happens now.
  await new Promise(setImmediate);
  if (spoiled()) throw new Error(`what ${target} did later wrote to memory that was not its own`);
  forgetCanaries();
}
__return(counts);
process.exit(0);
