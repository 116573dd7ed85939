// Timers: a binary heap over one timer of the event loop.
import { ArrayPush, MapDelete, MapGet, MapSet, applyTo, max, min } from './primordials.js';
import { reportError } from './events.js';

const { now, setTimer } = native;
const kMaxDelay = 2 ** 31 - 1;

/** @typedef {{id: number, due: number, seq: number, callback: any, args: any[], repeat: number, live: boolean, ref: boolean}} Timer */
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
    try {
      applyTo(timer.callback, globalThis, timer.args);
    } catch (error) {
      reportError(error);
    }
    native.microtasks();
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

/** @param {any} callback @param {any} delay @param {any[]} args @param {boolean} repeats */
function add(callback, delay, args, repeats) {
  if (typeof callback !== 'function')
    throw new TypeError('The timer callback must be a function; strings are not evaluated');
  let ms = Number(delay);
  ms = ms >= 1 ? min(ms, kMaxDelay) : repeats ? 1 : 0;
  if (Number(delay) > kMaxDelay) ms = 1;
  const timer = {
    id: nextId++,
    due: now() + ms,
    seq: nextSeq++,
    callback,
    args,
    repeat: repeats ? ms : -1,
    live: true,
    ref: true,
  };
  MapSet(byId, timer.id, timer);
  refs++;
  push(timer);
  arm();
  return timer.id;
}

/** @param {Function} callback @param {number} [delay] @param {any[]} args */
export function setTimeout(callback, delay = 0, ...args) {
  return add(callback, delay, args, false);
}
/** @param {Function} callback @param {number} [delay] @param {any[]} args */
export function setInterval(callback, delay = 0, ...args) {
  return add(callback, delay, args, true);
}
/** @param {Function} callback @param {any[]} args */
export function setImmediate(callback, ...args) {
  return add(callback, 0, args, false);
}
/** @param {any} [id] */
export function clearTimeout(id) {
  const timer = MapGet(byId, Number(id));
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
/** Lets the run end before this timer. @param {number} id */
export function unrefTimer(id) {
  const timer = MapGet(byId, id);
  if (timer === undefined || !timer.ref) return;
  timer.ref = false;
  refs--;
  arm();
}
