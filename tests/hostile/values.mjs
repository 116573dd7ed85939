// What a hostile guest passes: values that bite when a native looks at them, each made afresh. A new kind is one more line.
import crypto from 'node:crypto';
import zlib from 'node:zlib';

/** Numbers from a seed, so that what fails can be played again. @param {number} seed */
export function random(seed) {
  let state = seed >>> 0 || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return { next, below: (n) => Math.floor(next() * n), of: (list) => list[Math.floor(next() * list.length)] };
}

/** The pattern that nothing may change: arrays that take the place of memory that was freed. */
const canaries = [];
const kCanary = 0xa5;
export function forgetCanaries() {
  canaries.length = 0;
}
/** Which of them was written to, by whom nobody should. */
export const spoiled = () => canaries.some((bytes) => !bytes.every((byte) => byte === kCanary));

/** Frees the memory of a buffer, and puts canaries where it was. @param {ArrayBuffer} buffer */
function free(buffer) {
  const size = buffer.byteLength;
  if (buffer.resizable) buffer.resize(0);
  else if (!buffer.detached) buffer.transfer(0);
  for (let i = 0; i < 4; i++) canaries.push(new Uint8Array(Math.min(size, 4096)).fill(kCanary));
  if (canaries.length > 400) canaries.splice(0, 200);
}

export const numbers = [
  0,
  1,
  -1,
  0.5,
  2,
  7,
  16,
  32,
  255,
  256,
  4096,
  -4096,
  65536,
  NaN,
  Infinity,
  -Infinity,
  -0,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53,
  -(2 ** 53),
  1e308,
];
export const few = [0, 1, -1, 0.5, 2, 7, 16, 64, NaN, -Infinity];

export const words = [
  '', 'x', 'utf8', 'hex', 'sha256', 'shake128', 'aes-256-cbc', 'aes-256-gcm', 'id-aes256-GCM', 'chacha20-poly1305', 'CBC', 'GCM', 'WRAP', 'RSA', 'EC', 'ED25519', 'P-256', 'prime256v1', 'PEM', 'DER', 'spki',
  'pkcs8', 'private', 'public', 'encrypt', 'sign', 'PSS', 'host', '/tmp/f', '/tmp', '/', '/tmp/a/../b', 'file:///tmp/x.mjs', 'node:fs', 'http://x/', '\0', '\ud800', 'é'.repeat(300), 'x'.repeat(70000),
]; // prettier-ignore

let wasm;
const bytesOf = (n) => new Uint8Array(n).fill(7);
const views = [Uint8Array, Uint32Array, Float64Array, BigInt64Array, DataView];

/** Values that need no knowledge of what is called; `all` are the others of the call, to harm while it looks at this one. */
const makers = {
  undefined: () => undefined,
  null: () => null,
  true: () => true,
  false: () => false,
  number: (r) => r.of(numbers),
  word: (r) => r.of(words),
  bigint: () => 1n,
  symbol: () => Symbol('x'),
  function: () => () => 1,
  object: () => ({}),
  array: () => [],
  'array of fields': () => ['a', 'b', 'c'],
  'array of bytes': () => [bytesOf(3), bytesOf(1), new ArrayBuffer(8)],
  'array that bites': (r, all) =>
    Object.defineProperty([1, 2, 3], 1, {
      get() {
        harm(all);
        return bytesOf(8);
      },
    }),
  'array that throws': () =>
    Object.defineProperty([1, 2, 3], 0, {
      get() {
        throw new Error('getter');
      },
    }),
  'sparse array': () => Object.assign([], { length: 1000 }),
  'no bytes': () => new Uint8Array(0),
  bytes: (r) => bytesOf(r.of([1, 12, 16, 32, 100, 4096, 70000])),
  'array buffer': (r) => new ArrayBuffer(r.of([0, 1, 16, 100])),
  'other views': (r) => new (r.of(views))(new ArrayBuffer(32)),
  'part of a buffer': () => new Uint8Array(new ArrayBuffer(100), 50, 10),
  detached: () => {
    const bytes = bytesOf(100);
    bytes.buffer.transfer(0);
    return bytes;
  },
  'detached buffer': () => {
    const buffer = new ArrayBuffer(100);
    buffer.transfer();
    return buffer;
  },
  'detached view of data': () => {
    const view = new DataView(new ArrayBuffer(100), 10);
    view.buffer.transfer(0);
    return view;
  },
  shared: (r) => new SharedArrayBuffer(r.of([0, 1, 100])),
  'a view of what is shared': (r) => new (r.of(views))(new SharedArrayBuffer(32)),
  growable: () => new Uint8Array(new SharedArrayBuffer(100, { maxByteLength: 4096 })),
  resizable: () => new Uint8Array(new ArrayBuffer(100, { maxByteLength: 4096 })),
  'out of bounds': () => {
    const buffer = new ArrayBuffer(100, { maxByteLength: 200 });
    const bytes = new Uint8Array(buffer, 50, 50);
    buffer.resize(60);
    return bytes;
  },
  'data out of bounds': () => {
    const buffer = new ArrayBuffer(100, { maxByteLength: 200 });
    const view = new DataView(buffer, 50, 50);
    buffer.resize(10);
    return view;
  },
  shrunk: () => {
    const buffer = new ArrayBuffer(4096, { maxByteLength: 4096 });
    const bytes = new Uint8Array(buffer, 100);
    buffer.resize(200);
    return bytes;
  },
  // One for all: each reserves much address space.
  'memory of wasm': () => new Uint8Array((wasm ??= new WebAssembly.Memory({ initial: 1 })).buffer, 0, 100),
  'frees with valueOf': (r, all) => ({
    valueOf() {
      harm(all);
      return r.of(numbers);
    },
  }),
  'frees with toString': (r, all) => ({
    toString() {
      harm(all);
      return r.of(words);
    },
  }),
  'frees with toPrimitive': (r, all) => ({
    [Symbol.toPrimitive]() {
      harm(all);
      return r.of([1, 'x']);
    },
  }),
  'throws with valueOf': () => ({
    valueOf() {
      throw new Error('valueOf');
    },
    toString() {
      throw new Error('toString');
    },
  }),
  'frees with each getter': (r, all) =>
    new Proxy(
      {},
      {
        get(_, name) {
          harm(all);
          return name === Symbol.toPrimitive || name === 'valueOf' ? () => 1 : name === 'length' ? 3 : undefined;
        },
      },
    ),
  'proxy that throws': () => {
    const no = () => {
      throw new Error('trap');
    };
    return new Proxy({}, { get: no, has: no, ownKeys: no, getPrototypeOf: no, getOwnPropertyDescriptor: no, set: no });
  },
  'proxy of an array': () => new Proxy([1, 2, 3], {}),
  'revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  handle: (r) => r.of(handles()),
  'new of a handle': (r) => {
    try {
      return new (r.of(handles()).constructor)();
    } catch {
      return undefined;
    }
  },
  'inherits from a handle': (r) => Object.create(r.of(handles())),
  'proxy of a handle': (r) => new Proxy(r.of(handles()), {}),
  promise: () => Promise.resolve(1),
  'typed array of another class': () => Object.setPrototypeOf(bytesOf(10), null),
};

/** Detaches or shrinks every buffer among the values. @param {any[]} all */
function harm(all) {
  for (const value of all) {
    const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
    if (!(buffer instanceof ArrayBuffer)) continue;
    try {
      free(buffer);
    } catch {
      // the memory of wasm stays
    }
  }
}

/** Makes the arguments of a call, which can harm each other; with `only` these numbers, and few bytes, for what is slow. */
export function values(r, count, { only } = {}) {
  const all = [];
  const kinds = Object.keys(makers);
  for (let i = 0; i < count; i++) {
    const kind = r.of(kinds);
    let value = makers[kind](r, all);
    if (only !== undefined && typeof value === 'number') value = r.of(only);
    if (only !== undefined && kind === 'bytes') value = bytesOf(r.of([1, 16, 100]));
    all.push(value);
  }
  return all;
}
export const kinds = Object.keys(makers);
/** One value of that kind. */
export const value = (kind, r, all) => makers[kind](r, all);

// Handles of every kind, as far as a guest gets them: the test of the natives adds the others.
const made = [];
export const addHandle = (...handles) => made.push(...handles);
function handles() {
  if (made.length === 0) {
    made.push(
      ...[zlib.createGzip(), zlib.createInflate(), zlib.createBrotliCompress(), zlib.createBrotliDecompress(), zlib.createZstdCompress(), zlib.createZstdDecompress()].map((stream) => stream._handle.codec),
      crypto.createHash('sha256').handle,
      crypto.createHash('shake128').handle,
      crypto.createHmac('sha256', 'key').handle,
    ); // prettier-ignore
  }
  return made;
}
