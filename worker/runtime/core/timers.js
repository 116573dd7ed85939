// Timers: a binary heap over one timer of the event loop.
import { ArrayPush, MapDelete, MapGet, MapSet, applyTo, defineProperty, max, min } from './primordials.js';
import { codedError } from './coded_error.js';
import { reportError } from './events.js';
import { part } from './lazy_part.js';

const { getContinuationData, now, setContinuationData, setTimer } = native;
const kMaxDelay = 2 ** 31 - 1;

/** @typedef {{id: number, due: number, seq: number, callback: any, args: any[], delay: number, repeat: number, live: boolean, ref: boolean, context: any,
 *   handle: any}} Timer */
/** @type {Timer[]} */
const heap = [];
/** @type {Map<number, Timer>} */
const byId = new Map();
let nextId = 1;
let nextSeq = 1;
let refs = 0;

/** @param {Timer} a @param {Timer} b */
const before = (a, b) => a.due < b.due || (a.due === b.due && a.seq < b.seq);

/** @param {Timer} timer */
function push(timer) {
  let i = heap.length;
  ArrayPush(heap, timer);
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (!before(timer, heap[parent])) break;
    heap[i] = heap[parent];
    i = parent;
  }
  heap[i] = timer;
}

function pop() {
  const top = heap[0];
  const last = heap[heap.length - 1];
  heap.length--;
  let i = 0;
  for (const n = heap.length; n > 0;) {
    let child = 2 * i + 1;
    if (child >= n) break;
    if (child + 1 < n && before(heap[child + 1], heap[child])) child++;
    if (!before(heap[child], last)) break;
    heap[i] = heap[child];
    i = child;
  }
  if (heap.length > 0) heap[i] = last;
  return top;
}

function arm() {
  while (heap.length > 0 && !heap[0].live) pop();
  setTimer(heap.length > 0 ? heap[0].due : Infinity, refs > 0);
}

/** Called by the event loop when the first timer is due. */
export function runTimers() {
  const time = now();
  const lastSeq = nextSeq; // what callbacks add now waits for the next turn
  /** @type {Timer[]} */
  const later = [];
  while (heap.length > 0 && heap[0].due <= time) {
    const timer = pop();
    if (!timer.live) continue;
    if (timer.seq >= lastSeq) {
      ArrayPush(later, timer);
      continue;
    }
    if (timer.repeat >= 0) {
      timer.due = max(time, now()) + timer.repeat;
      timer.seq = nextSeq++;
      ArrayPush(later, timer);
    } else {
      drop(timer);
    }
    // What AsyncLocalStorage goes by (node/async_hooks.js).
    setContinuationData(timer.context);
    try {
      applyTo(timer.callback, globalThis, timer.args);
    } catch (error) {
      reportError(error);
    }
    native.microtasks();
    setContinuationData(undefined);
  }
  for (let i = 0; i < later.length; i++) if (later[i].live) push(later[i]);
  arm();
}

/** @param {Timer} timer */
function drop(timer) {
  if (!timer.live) return;
  timer.live = false;
  MapDelete(byId, timer.id);
  if (timer.ref) refs--;
}

/** @type {(value: any) => Timer | undefined} */
let timerOf;
/** @type {(value: any) => Timer | undefined} */
let immediateOf;

/** @param {Timer} timer @param {boolean} ref */
function setRef(timer, ref) {
  if (timer.ref === ref) return;
  timer.ref = ref;
  if (timer.live) refs += ref ? 1 : -1;
  arm();
}

/** @param {any} callback @param {any} delay @param {any[]} args @param {boolean} repeats @param {any} kind */
function add(callback, delay, args, repeats, kind) {
  if (typeof callback !== 'function')
    throw codedError(
      'ERR_INVALID_ARG_TYPE',
      'The timer callback must be a function; strings are not evaluated',
      TypeError,
    );
  let ms = Number(delay);
  ms = ms >= 1 ? min(ms, kMaxDelay) : repeats ? 1 : 0;
  if (Number(delay) > kMaxDelay) ms = 1;
  const timer = {
    id: nextId++,
    due: now() + ms,
    seq: nextSeq++,
    callback,
    args,
    delay: ms,
    repeat: repeats ? ms : -1,
    live: true,
    ref: true,
    context: getContinuationData(),
    handle: /** @type {any} */ (undefined),
  };
  timer.handle = repeats || kind === Timeout ? new Timeout(timer) : new Immediate(timer);
  MapSet(byId, timer.id, timer);
  refs++;
  push(timer);
  arm();
  return timer.handle;
}

/** What setTimeout and setInterval give: Node's object, and the web's number where one is asked for. */
export class Timeout {
  #timer;
  static {
    timerOf = (value) => (typeof value === 'object' && value !== null && #timer in value ? value.#timer : undefined);
  }
  /** @param {Timer} timer */
  constructor(timer) {
    this.#timer = timer;
  }
  ref() {
    setRef(this.#timer, true);
    return this;
  }
  unref() {
    setRef(this.#timer, false);
    return this;
  }
  hasRef() {
    return this.#timer.ref && this.#timer.live;
  }
  refresh() {
    const timer = this.#timer;
    if (!timer.live) return this;
    // The heap keeps its old place until then; another takes over.
    const again = { ...timer, due: now() + (timer.repeat >= 0 ? timer.repeat : timer.delay), seq: nextSeq++ };
    timer.live = false;
    this.#timer = again;
    MapSet(byId, again.id, again);
    push(again);
    arm();
    return this;
  }
  close() {
    clearTimeout(this);
    return this;
  }
  [Symbol.toPrimitive]() {
    return this.#timer.id;
  }
  [Symbol.dispose ?? Symbol.for('dispose')]() {
    clearTimeout(this);
  }
}

export class Immediate {
  #timer;
  static {
    immediateOf = (value) =>
      typeof value === 'object' && value !== null && #timer in value ? value.#timer : undefined;
  }
  /** @param {Timer} timer */
  constructor(timer) {
    this.#timer = timer;
  }
  ref() {
    setRef(this.#timer, true);
    return this;
  }
  unref() {
    setRef(this.#timer, false);
    return this;
  }
  hasRef() {
    return this.#timer.ref && this.#timer.live;
  }
  [Symbol.toPrimitive]() {
    return this.#timer.id;
  }
  [Symbol.dispose ?? Symbol.for('dispose')]() {
    clearTimeout(this);
  }
}

/** @param {Function} callback @param {number} [delay] @param {any[]} args */
export function setTimeout(callback, delay = 0, ...args) {
  return add(callback, delay, args, false, Timeout);
}
/** @param {Function} callback @param {number} [delay] @param {any[]} args */
export function setInterval(callback, delay = 0, ...args) {
  return add(callback, delay, args, true, Timeout);
}
/** @param {Function} callback @param {any[]} args */
export function setImmediate(callback, ...args) {
  return add(callback, 0, args, false, Immediate);
}
/** @param {any} [id] */
export function clearTimeout(id) {
  if (id === undefined || id === null) return;
  const timer = timerOf(id) ?? immediateOf(id) ?? MapGet(byId, Number(id));
  if (timer === undefined) return;
  drop(timer);
  arm();
}
export function clearInterval(/** @type {any} */ id) {
  clearTimeout(id);
}
export function clearImmediate(/** @type {any} */ id) {
  clearTimeout(id);
}
/** Lets the run end before this timer. @param {Timeout} timeout */
export function unrefTimer(timeout) {
  const timer = timerOf(timeout);
  if (timer !== undefined) setRef(timer, false);
}

// What util.promisify makes of them is node:timers/promises'.
for (const [name, f] of [
  ['setTimeout', setTimeout],
  ['setImmediate', setImmediate],
])
  defineProperty(f, Symbol.for('nodejs.util.promisify.custom'), {
    enumerable: true,
    get: () => part('node').nodeModule('timers/promises')[name],
  });
