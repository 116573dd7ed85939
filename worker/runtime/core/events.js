// Event, EventTarget and what reports errors (DOM standard, section 2).
import { ArrayPush, ArraySplice, applyTo, defineProperty, webidlClass } from './primordials.js';
import { now } from './clock.js';
import { DOMException } from './dom_exception.js';

/** @type {(event: any, fields: any) => void} Sets what only the runtime may set. */
let setEvent;

export class Event {
  #type;
  #bubbles;
  #cancelable;
  #composed;
  /** @type {any} */ #target = null;
  /** @type {any} */ #currentTarget = null;
  #phase = 0;
  #canceled = false;
  #stopped = false;
  #stoppedNow = false;
  #passive = false;
  #dispatching = false;
  #trusted = false;
  #time = 0;
  static {
    setEvent = (event, fields) => {
      if ('target' in fields) event.#target = fields.target;
      if ('currentTarget' in fields) event.#currentTarget = fields.currentTarget;
      if ('phase' in fields) event.#phase = fields.phase;
      if ('passive' in fields) event.#passive = fields.passive;
      if ('trusted' in fields) event.#trusted = fields.trusted;
      if ('dispatching' in fields) event.#dispatching = fields.dispatching;
    };
  }
  /** @param {string} type @param {any} [init] */
  constructor(type, init) {
    if (arguments.length === 0) throw new TypeError('Event needs a type');
    this.#type = `${type}`;
    this.#bubbles = Boolean(init?.bubbles);
    this.#cancelable = Boolean(init?.cancelable);
    this.#composed = Boolean(init?.composed);
    this.#time = now();
  }
  get type() {
    return this.#type;
  }
  get target() {
    return this.#target;
  }
  get srcElement() {
    return this.#target;
  }
  get currentTarget() {
    return this.#currentTarget;
  }
  get eventPhase() {
    return this.#phase;
  }
  get bubbles() {
    return this.#bubbles;
  }
  get cancelable() {
    return this.#cancelable;
  }
  get composed() {
    return this.#composed;
  }
  get defaultPrevented() {
    return this.#canceled;
  }
  get returnValue() {
    return !this.#canceled;
  }
  set returnValue(value) {
    if (!value) this.preventDefault();
  }
  get cancelBubble() {
    return this.#stopped;
  }
  set cancelBubble(value) {
    if (value) this.#stopped = true;
  }
  get timeStamp() {
    return this.#time;
  }
  get isTrusted() {
    return this.#trusted;
  }
  composedPath() {
    return this.#currentTarget ? [this.#currentTarget] : [];
  }
  stopPropagation() {
    this.#stopped = true;
  }
  stopImmediatePropagation() {
    this.#stopped = this.#stoppedNow = true;
  }
  preventDefault() {
    if (this.#cancelable && !this.#passive) this.#canceled = true;
  }
  /** @param {any} event */
  static stoppedNow(event) {
    return event.#stoppedNow;
  }
  /** @param {any} event */
  static dispatching(event) {
    return event.#dispatching;
  }
  /** @param {any} event */
  static clearStops(event) {
    event.#stopped = event.#stoppedNow = false;
  }
}
const { stoppedNow, dispatching, clearStops } = Event;
delete (/** @type {any} */ (Event).stoppedNow);
delete (/** @type {any} */ (Event).dispatching);
delete (/** @type {any} */ (Event).clearStops);
for (const [name, value] of [
  ['NONE', 0],
  ['CAPTURING_PHASE', 1],
  ['AT_TARGET', 2],
  ['BUBBLING_PHASE', 3],
]) {
  defineProperty(Event, name, { value, enumerable: true });
  defineProperty(Event.prototype, name, { value, enumerable: true });
}
webidlClass(Event, ['type', 'target', 'currentTarget', 'defaultPrevented', 'cancelable', 'timeStamp']);

export class CustomEvent extends Event {
  #detail;
  /** @param {string} type @param {any} [init] */
  constructor(type, init) {
    super(type, init);
    this.#detail = init?.detail ?? null;
  }
  get detail() {
    return this.#detail;
  }
}
webidlClass(CustomEvent, ['detail']);

export class ErrorEvent extends Event {
  #init;
  /** @param {string} type @param {any} [init] */
  constructor(type, init) {
    super(type, init);
    this.#init = { ...init };
  }
  get message() {
    return `${this.#init.message ?? ''}`;
  }
  get filename() {
    return `${this.#init.filename ?? ''}`;
  }
  get lineno() {
    return Number(this.#init.lineno ?? 0);
  }
  get colno() {
    return Number(this.#init.colno ?? 0);
  }
  get error() {
    return this.#init.error;
  }
}
webidlClass(ErrorEvent, ['message', 'filename', 'lineno', 'colno', 'error']);

export class PromiseRejectionEvent extends Event {
  #promise;
  #reason;
  /** @param {string} type @param {any} init */
  constructor(type, init) {
    super(type, init);
    this.#promise = init.promise;
    this.#reason = init.reason;
  }
  get promise() {
    return this.#promise;
  }
  get reason() {
    return this.#reason;
  }
}
webidlClass(PromiseRejectionEvent, ['promise', 'reason']);

/** Told of a target whose listeners of "abort" have changed (abort.js). @type {(target: any) => void} */
let abortListeners = () => {};
export function watchAbortListeners(/** @type {typeof abortListeners} */ watch) {
  abortListeners = watch;
}

export class EventTarget {
  /** @type {any[]} */ #listeners = [];

  /** @param {string} type @param {any} callback @param {any} [options] */
  addEventListener(type, callback, options) {
    const self = this ?? globalThis;
    type = `${type}`;
    const capture = typeof options === 'object' && options !== null ? Boolean(options.capture) : Boolean(options);
    const signal = options?.signal;
    if (signal?.aborted || callback === null || callback === undefined) return;
    const list = self.#listeners;
    for (let i = 0; i < list.length; i++) {
      if (list[i].type === type && list[i].callback === callback && list[i].capture === capture) return;
    }
    const listener = {
      type,
      callback,
      capture,
      once: Boolean(options?.once),
      passive: Boolean(options?.passive),
      removed: false,
    };
    ArrayPush(list, listener);
    if (type === 'abort') abortListeners(self);
    signal?.addEventListener('abort', () => removeListener(self, type, callback, { capture }), { once: true });
  }

  /** @param {string} type @param {any} callback @param {any} [options] */
  removeEventListener(type, callback, options) {
    const self = this ?? globalThis;
    const capture = typeof options === 'object' && options !== null ? Boolean(options.capture) : Boolean(options);
    const list = self.#listeners;
    for (let i = 0; i < list.length; i++) {
      if (list[i].type === `${type}` && list[i].callback === callback && list[i].capture === capture) {
        list[i].removed = true;
        ArraySplice(list, i, 1);
        if (`${type}` === 'abort') abortListeners(self);
        return;
      }
    }
  }

  /** @param {any} event */
  dispatchEvent(event) {
    const self = this ?? globalThis;
    if (dispatching(event)) throw new DOMException('The event is already being dispatched', 'InvalidStateError');
    setEvent(event, { trusted: false });
    return dispatch(self, event);
  }

  /** @param {any} self @param {any} event */
  static dispatch(self, event) {
    setEvent(event, { target: self, currentTarget: self, phase: 2, dispatching: true });
    const list = self.#listeners;
    const copy = [];
    for (let i = 0; i < list.length; i++) copy[i] = list[i];
    for (let i = 0; i < copy.length; i++) {
      const listener = copy[i];
      if (listener.removed || listener.type !== event.type) continue;
      if (listener.once) removeListener(self, listener.type, listener.callback, { capture: listener.capture });
      setEvent(event, { passive: listener.passive });
      try {
        if (typeof listener.callback === 'function') listener.callback.call(self, event);
        else listener.callback.handleEvent(event);
      } catch (error) {
        reportError(error);
      }
      if (stoppedNow(event)) break;
    }
    setEvent(event, { currentTarget: null, phase: 0, passive: false, dispatching: false });
    clearStops(event);
    return !event.defaultPrevented;
  }

  /** Whether anybody listens to `type`. @param {any} target @param {string} type */
  static listens(target, type) {
    const list = target.#listeners;
    for (let i = 0; i < list.length; i++) if (list[i].type === type) return true;
    return false;
  }
}
export const listens = EventTarget.listens;
const { dispatch } = EventTarget;
const { addEventListener: addOn, removeEventListener: removeOn } = EventTarget.prototype;
/** @param {any} target @param {string} type @param {any} callback @param {any} [options] */
const removeListener = (target, type, callback, options) => applyTo(removeOn, target, [type, callback, options]);
/** Dispatches an event of the runtime's own, which a guest may trust. @param {any} target @param {any} event */
export function fire(target, event) {
  setEvent(event, { trusted: true });
  return dispatch(target, event);
}
delete (/** @type {any} */ (EventTarget).listens);
delete (/** @type {any} */ (EventTarget).dispatch);
webidlClass(EventTarget, ['addEventListener', 'removeEventListener', 'dispatchEvent']);

const handlers = new WeakMap();
/** An `on…` property (HTML 8.1.8.1). @param {any} proto @param {string} name @param {(target: any) => void} [whenSet] */
export function eventHandler(proto, name, whenSet) {
  defineProperty(proto, `on${name}`, {
    enumerable: true,
    configurable: true,
    get() {
      return handlers.get(this)?.[name]?.value ?? null;
    },
    set(value) {
      let map = handlers.get(this);
      if (!map) handlers.set(this, (map = { __proto__: null }));
      if (!map[name]) {
        const slot = (map[name] = { value: null });
        const listener = (/** @type {any} */ event) => {
          if (typeof slot.value === 'function') return applyTo(slot.value, this, [event]);
          return slot.value?.handleEvent?.(event);
        };
        applyTo(addOn, this === globalThis || this === undefined ? globalTarget : this, [name, listener]);
      }
      map[name].value = typeof value === 'function' || (typeof value === 'object' && value !== null) ? value : null;
      whenSet?.(this);
    },
  });
}

// The global object is an event target: "error" and "unhandledrejection" are dispatched on it.
const globalTarget = new EventTarget();
export const globalEvents = {
  target: globalTarget,
  addEventListener: globalTarget.addEventListener.bind(globalTarget),
  removeEventListener: globalTarget.removeEventListener.bind(globalTarget),
  dispatchEvent: globalTarget.dispatchEvent.bind(globalTarget),
};

/** Node's listeners of what nothing caught (process.js): whether there are any. @type {(error: any, origin: string) => boolean} */
let taken = () => false;
export function takeUncaughtWith(/** @type {typeof taken} */ take) {
  taken = take;
}

/** HTML's report an exception: an "error" event, and where nobody prevents or takes it the run's end. @param {any} error */
export function reportError(error) {
  if (listens(globalTarget, 'error')) {
    const event = new ErrorEvent('error', { cancelable: true, error, message: error?.message });
    if (!globalTarget.dispatchEvent(event)) return;
  }
  if (!taken(error, 'uncaughtException')) native.die(error);
}
