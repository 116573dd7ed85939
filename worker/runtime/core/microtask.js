// queueMicrotask (HTML 8.6), and Node's process.nextTick: what runs before the microtasks that are queued when the engine comes to them.
import { codedError } from './coded_error.js';
import { reportError } from './events.js';
import { applyTo, ArrayPush, ArraySlice } from './primordials.js';

const { getContinuationData, setContinuationData, wantTicks } = native;
const done = Promise.resolve();

export function queueMicrotask(/** @type {any} */ callback) {
  if (typeof callback !== 'function')
    throw codedError('ERR_INVALID_ARG_TYPE', 'queueMicrotask needs a function', TypeError);
  done.then(() => {
    try {
      callback();
    } catch (error) {
      reportError(error);
    }
  });
}

/** @type {{callback: Function, args: any[], context: any}[]} */
let ticks = [];
let ran = 0; // of these
const kKeptTicks = 1024; // that ran, before they are let go of: with half of all

/** @param {any} callback @param {any[]} args */
export function nextTick(callback, ...args) {
  if (typeof callback !== 'function')
    throw codedError('ERR_INVALID_ARG_TYPE', 'process.nextTick needs a function', TypeError);
  // Asked for first: where the stack ends in between, nothing is left that nobody comes for.
  const tick = { callback, args, context: getContinuationData() };
  wantTicks();
  ArrayPush(ticks, tick);
}

/** Called by the event loop: runs the ticks, and those that they add. */
export function runTicks() {
  while (ran < ticks.length) {
    if (ran >= kKeptTicks && ran * 2 > ticks.length) {
      ticks = ArraySlice(ticks, ran);
      ran = 0;
    }
    const { callback, args, context } = ticks[ran++];
    setContinuationData(context);
    try {
      applyTo(callback, undefined, args);
    } catch (error) {
      // Where that throws, the others are still to come, and this one is over.
      if (ran < ticks.length) wantTicks();
      reportError(error);
    }
  }
  setContinuationData(undefined);
  ticks = [];
  ran = 0;
}
