// performance: High Resolution Time, Performance Timeline and User Timing.
import { ArrayPush, ArraySort, defineProperty, hasOwn, keys, webidlClass } from '../core/primordials.js';
import { now } from '../core/clock.js';
import { DOMException } from '../core/dom_exception.js';
import { EventTarget, reportError } from '../core/events.js';
import { structuredClone } from '../core/structured_clone.js';
import { setImmediate } from '../core/timers.js';

const key = {};
const kMaxEntries = 10_000; // kept marks and measures; more push the oldest out

export class PerformanceEntry {
  #name;
  #entryType;
  #startTime;
  #duration;
  /** @param {any} token @param {string} name @param {string} entryType @param {number} startTime @param {number} duration */
  constructor(token, name, entryType, startTime, duration) {
    if (token !== key) throw new TypeError('Illegal constructor');
    this.#name = name;
    this.#entryType = entryType;
    this.#startTime = startTime;
    this.#duration = duration;
  }
  get name() {
    return this.#name;
  }
  get entryType() {
    return this.#entryType;
  }
  get startTime() {
    return this.#startTime;
  }
  get duration() {
    return this.#duration;
  }
  toJSON() {
    return { name: this.name, entryType: this.entryType, startTime: this.startTime, duration: this.duration };
  }
}
webidlClass(PerformanceEntry, ['name', 'entryType', 'startTime', 'duration', 'toJSON']);

/** @param {any} value */
const detailOf = (value) => (value === undefined || value === null ? null : structuredClone(value));

export class PerformanceMark extends PerformanceEntry {
  #detail;
  /** @param {string} name @param {any} [options] */
  constructor(name, options) {
    if (arguments.length === 0) throw new TypeError('PerformanceMark needs a name');
    const start = options?.startTime === undefined ? now() : Number(options.startTime);
    if (!(start >= 0)) throw new TypeError('startTime must be a number of 0 or more');
    super(key, `${name}`, 'mark', start, 0);
    this.#detail = detailOf(options?.detail);
  }
  get detail() {
    return this.#detail;
  }
  toJSON() {
    return { ...super.toJSON(), detail: this.#detail };
  }
}
webidlClass(PerformanceMark, ['detail']);

export class PerformanceMeasure extends PerformanceEntry {
  #detail;
  /** @param {any} token @param {string} name @param {number} start @param {number} end @param {any} detail */
  constructor(token, name, start, end, detail) {
    super(token, name, 'measure', start, end - start);
    this.#detail = detail;
  }
  get detail() {
    return this.#detail;
  }
  toJSON() {
    return { ...super.toJSON(), detail: this.#detail };
  }
}
webidlClass(PerformanceMeasure, ['detail']);

const kHeaderSize = 300; // what Resource Timing counts for a response's headers

/**
 * What a PerformanceResourceTiming tells, of what the Fetch standard calls a fetch timing info and of the response.
 * @type {Record<string, (info: any, response: any) => any>}
 */
const kOfResource = {
  initiatorType: (_info, response) => response.initiatorType,
  workerStart: (info) => info.finalServiceWorkerStartTime,
  redirectStart: (info) => info.redirectStartTime,
  redirectEnd: (info) => info.redirectEndTime,
  fetchStart: (info) => info.postRedirectStartTime,
  domainLookupStart: (info) => info.finalConnectionTimingInfo?.domainLookupStartTime,
  domainLookupEnd: (info) => info.finalConnectionTimingInfo?.domainLookupEndTime,
  connectStart: (info) => info.finalConnectionTimingInfo?.connectionStartTime,
  connectEnd: (info) => info.finalConnectionTimingInfo?.connectionEndTime,
  secureConnectionStart: (info) => info.finalConnectionTimingInfo?.secureConnectionStartTime,
  nextHopProtocol: (info) => info.finalConnectionTimingInfo?.ALPNNegotiatedProtocol,
  requestStart: (info) => info.finalNetworkRequestStartTime,
  finalResponseHeadersStart: (info) => info.finalNetworkResponseStartTime,
  firstInterimResponseStart: () => 0,
  responseStart: (info) => info.finalNetworkResponseStartTime,
  responseEnd: (info) => info.endTime,
  encodedBodySize: (info) => info.encodedBodySize,
  decodedBodySize: (info) => info.decodedBodySize,
  transferSize: (info, response) => (response.cacheMode === 'local' ? 0 : info.encodedBodySize + kHeaderSize),
  deliveryType: (_info, response) => response.deliveryType,
  responseStatus: (_info, response) => response.responseStatus,
  renderBlockingStatus: () => 'non-blocking',
  contentType: () => '',
  contentEncoding: () => '',
};

/** What a client that is a package says of its requests (undici); the runtime's own fetch says nothing here. */
export class PerformanceResourceTiming extends PerformanceEntry {
  #info;
  #response;
  /** @param {any} token @param {any} info @param {string} url @param {any} response */
  constructor(token, info, url, response) {
    super(token, `${url}`, 'resource', info.startTime, info.endTime - info.startTime);
    this.#info = info;
    this.#response = response;
  }
  static {
    for (const field of keys(kOfResource))
      defineProperty(this.prototype, field, {
        configurable: true,
        get() {
          return kOfResource[field](this.#info, this.#response);
        },
      });
  }
  toJSON() {
    const json = super.toJSON();
    for (const field of keys(kOfResource)) /** @type {any} */ (json)[field] = kOfResource[field](this.#info, this.#response);
    return json;
  }
}
webidlClass(PerformanceResourceTiming, [...keys(kOfResource), 'toJSON']);

/** @type {any[]} */
let entries = [];
/** @type {Set<any>} */
const observers = new Set();

/** @param {any} entry */
function add(entry) {
  if (entries.length >= kMaxEntries) entries = entries.slice(kMaxEntries / 2);
  ArrayPush(entries, entry);
  for (const observer of observers) observer.queue(entry);
}
/** In order of their start. @param {any[]} list */
const sorted = (list) => {
  const copy = list.slice();
  ArraySort(copy, (/** @type {any} */ a, /** @type {any} */ b) => a.startTime - b.startTime);
  return copy;
};
/** @param {any[]} list @param {any} name @param {any} [type] */
const select = (list, name, type) =>
  sorted(
    list.filter(
      (entry) =>
        (name === undefined || entry.name === `${name}`) && (type === undefined || entry.entryType === `${type}`),
    ),
  );
/** @param {string} type @param {any} name */
function clear(type, name) {
  entries = entries.filter((entry) => entry.entryType !== type || (name !== undefined && entry.name !== `${name}`));
}

/** The time that a mark's name, or a number, means. @param {any} mark */
function timeOf(mark) {
  if (typeof mark === 'number') {
    if (!(mark >= 0)) throw new TypeError('a time must be 0 or more');
    return mark;
  }
  for (let i = entries.length - 1; i >= 0; i--)
    if (entries[i].entryType === 'mark' && entries[i].name === `${mark}`) return entries[i].startTime;
  throw new DOMException(`There is no mark "${mark}"`, 'SyntaxError');
}

export class Performance extends EventTarget {
  /** @param {any} token */
  constructor(token) {
    if (token !== key) throw new TypeError('Illegal constructor');
    super();
  }
  now() {
    return now();
  }
  get timeOrigin() {
    return Date.now() - now();
  }
  /** @param {string} name @param {any} [options] */
  mark(name, options) {
    const mark = new PerformanceMark(name, options);
    add(mark);
    return mark;
  }
  /** @param {string} name @param {any} [from] a mark, or {start, end, duration, detail} @param {any} [to] */
  measure(name, from, to) {
    if (arguments.length === 0) throw new TypeError('measure needs a name');
    const options = typeof from === 'object' && from !== null ? from : undefined;
    if (options !== undefined) {
      if (to !== undefined) throw new TypeError('measure takes options or an end mark, not both');
      const given = (/** @type {string} */ field) => options[field] !== undefined;
      if (!given('start') && !given('end') && (given('duration') || given('detail')))
        throw new TypeError('measure needs a start or an end');
      if (given('start') && given('end') && given('duration'))
        throw new TypeError('measure takes two of start, end and duration');
    }
    const { start, end, duration, detail } = options ?? { start: from, end: to };
    const until =
      end !== undefined
        ? timeOf(end)
        : start !== undefined && duration !== undefined
          ? timeOf(start) + timeOf(Number(duration))
          : now();
    const since = start !== undefined ? timeOf(start) : duration !== undefined ? until - timeOf(Number(duration)) : 0;
    const measure = new PerformanceMeasure(key, `${name}`, since, until, detailOf(detail));
    add(measure);
    return measure;
  }
  /** @param {string} [name] */
  clearMarks(name) {
    clear('mark', name);
  }
  /** @param {string} [name] */
  clearMeasures(name) {
    clear('measure', name);
  }
  /**
   * As Node.js has it, for clients of HTTP.
   * @param {any} info @param {string} url @param {string} initiatorType @param {any} _global @param {string} cacheMode
   * @param {any} _body @param {number} responseStatus @param {string} [deliveryType]
   */
  markResourceTiming(info, url, initiatorType, _global, cacheMode, _body, responseStatus, deliveryType = '') {
    if (cacheMode !== '' && cacheMode !== 'local') throw new TypeError('cache must be an empty string or "local"');
    const response = { initiatorType, cacheMode, responseStatus, deliveryType };
    const timing = new PerformanceResourceTiming(key, info, url, response);
    add(timing);
    return timing;
  }
  clearResourceTimings() {
    clear('resource', undefined);
  }
  getEntries() {
    return sorted(entries);
  }
  /** @param {string} type */
  getEntriesByType(type) {
    return select(entries, undefined, `${type}`);
  }
  /** @param {string} name @param {string} [type] */
  getEntriesByName(name, type) {
    return select(entries, `${name}`, type);
  }
  toJSON() {
    return { timeOrigin: this.timeOrigin };
  }
}
webidlClass(Performance, [
  'now',
  'timeOrigin',
  'mark',
  'measure',
  'clearMarks',
  'clearMeasures',
  'markResourceTiming',
  'clearResourceTimings',
  'getEntries',
  'getEntriesByType',
  'getEntriesByName',
  'toJSON',
]);
export const performance = new Performance(key);

export class PerformanceObserverEntryList {
  #list;
  /** @param {any} token @param {any[]} list */
  constructor(token, list) {
    if (token !== key) throw new TypeError('Illegal constructor');
    this.#list = list;
  }
  getEntries() {
    return sorted(this.#list);
  }
  /** @param {string} type */
  getEntriesByType(type) {
    return select(this.#list, undefined, `${type}`);
  }
  /** @param {string} name @param {string} [type] */
  getEntriesByName(name, type) {
    return select(this.#list, `${name}`, type);
  }
}
webidlClass(PerformanceObserverEntryList, ['getEntries', 'getEntriesByType', 'getEntriesByName']);

const supported = Object.freeze(['mark', 'measure', 'resource']);

export class PerformanceObserver {
  #callback;
  /** @type {any[]} */ #queued = [];
  #scheduled = false;
  /** @type {{types: any, queue: (entry: any) => void}} */ #self;
  /** @param {Function} callback */
  constructor(callback) {
    if (typeof callback !== 'function') throw new TypeError('PerformanceObserver needs a function');
    this.#callback = callback;
    this.#self = {
      types: { __proto__: null },
      queue: (entry) => {
        if (!hasOwn(this.#self.types, entry.entryType)) return;
        ArrayPush(this.#queued, entry);
        if (this.#scheduled) return;
        this.#scheduled = true;
        setImmediate(() => this.#deliver());
      },
    };
  }
  #deliver() {
    this.#scheduled = false;
    const list = this.takeRecords();
    if (list.length === 0) return;
    try {
      this.#callback.call(this, new PerformanceObserverEntryList(key, list), this);
    } catch (error) {
      reportError(error);
    }
  }
  /** @param {any} options {entryTypes} or {type, buffered} */
  observe(options) {
    const several = options?.entryTypes;
    if ((several === undefined) === (options?.type === undefined))
      throw new TypeError('observe needs either entryTypes or type');
    if (several !== undefined) this.#self.types = { __proto__: null };
    const types = several === undefined ? [`${options.type}`] : [...several].map((type) => `${type}`);
    for (const type of types) if (supported.includes(type)) this.#self.types[type] = true;
    observers.add(this.#self);
    if (several === undefined && options.buffered)
      for (const entry of select(entries, undefined, types[0])) this.#self.queue(entry);
  }
  disconnect() {
    observers.delete(this.#self);
    this.#self.types = { __proto__: null };
    this.#queued = [];
  }
  takeRecords() {
    const list = this.#queued;
    this.#queued = [];
    return list;
  }
  static get supportedEntryTypes() {
    return supported;
  }
}
webidlClass(PerformanceObserver, ['observe', 'disconnect', 'takeRecords']);
