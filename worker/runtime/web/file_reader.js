// FileReader and ProgressEvent (File API section 6, XMLHttpRequest section 5).
import { webidlClass, defineProperty } from '../core/primordials.js';
import { blobBytes, isBlob } from './blob.js';
import { DOMException } from '../core/dom_exception.js';
import { TextDecoder, encodingOf } from './encoding.js';
import { Event, EventTarget, eventHandler, fire } from '../core/events.js';
import { parameterOf, parseMimeType } from './mime.js';
import { clearTimeout, setTimeout } from '../core/timers.js';

export class ProgressEvent extends Event {
  #lengthComputable;
  #loaded;
  #total;
  /** @param {string} type @param {any} [init] */
  constructor(type, init) {
    super(type, init);
    this.#lengthComputable = Boolean(init?.lengthComputable);
    this.#loaded = Number(init?.loaded ?? 0);
    this.#total = Number(init?.total ?? 0);
  }
  get lengthComputable() {
    return this.#lengthComputable;
  }
  get loaded() {
    return this.#loaded;
  }
  get total() {
    return this.#total;
  }
}
webidlClass(ProgressEvent, ['lengthComputable', 'loaded', 'total']);

const EMPTY = 0,
  LOADING = 1,
  DONE = 2;

/** The File API's package data. @param {Uint8Array} bytes @param {string} how @param {string} type @param {string | undefined} label */
function packageData(bytes, how, type, label) {
  if (how === 'ArrayBuffer') return bytes.slice().buffer;
  if (how === 'BinaryString') return native.latin1Decode(bytes);
  if (how === 'DataURL')
    return `data:${type === '' ? 'application/octet-stream' : type};base64,${native.btoa(native.latin1Decode(bytes))}`;
  const mime = parseMimeType(type);
  const encoding = encodingOf(label) ?? encodingOf(mime === null ? undefined : parameterOf(mime, 'charset')) ?? 'utf-8';
  // A byte order mark wins over all of them.
  const marked =
    bytes[0] === 0xfe && bytes[1] === 0xff
      ? 'utf-16be'
      : bytes[0] === 0xff && bytes[1] === 0xfe
        ? 'utf-16le'
        : encoding;
  return new TextDecoder(marked).decode(bytes);
}

export class FileReader extends EventTarget {
  #state = EMPTY;
  /** @type {any} */ #result = null;
  /** @type {any} */ #error = null;
  /** The read that goes on; another object, or null, once it is over. @type {{timer: number} | null} */ #read = null;

  /** @param {string} how @param {any} blob @param {string} [label] */
  #start(how, blob, label) {
    if (!isBlob(blob)) throw new TypeError(`readAs${how} needs a Blob`);
    if (this.#state === LOADING) throw new DOMException('This FileReader is reading already', 'InvalidStateError');
    this.#state = LOADING;
    this.#result = this.#error = null;
    const bytes = blobBytes(blob);
    const total = bytes.length;
    const read = (this.#read = { timer: 0 });
    const send = (/** @type {string} */ type, /** @type {number} */ loaded) => {
      fire(this, new ProgressEvent(type, { lengthComputable: true, loaded, total }));
      return this.#read === read;
    };
    // Each event is a task of its own.
    const steps = [
      () => send('loadstart', 0),
      ...(total > 0 ? [() => send('progress', total)] : []),
      () => {
        this.#state = DONE;
        try {
          this.#result = packageData(bytes, how, blob.type, label);
        } catch (error) {
          this.#error = new DOMException(`The Blob cannot be read: ${error?.message}`, 'NotReadableError');
        }
        send(this.#error === null ? 'load' : 'error', total);
      },
      () => this.#state !== LOADING && send('loadend', total),
    ];
    let at = 0;
    const next = () => {
      if (this.#read !== read) return;
      steps[at++]();
      if (at < steps.length) read.timer = setTimeout(next, 0);
    };
    read.timer = setTimeout(next, 0);
  }
  /** @param {any} blob */
  readAsArrayBuffer(blob) {
    this.#start('ArrayBuffer', blob);
  }
  /** @param {any} blob */
  readAsBinaryString(blob) {
    this.#start('BinaryString', blob);
  }
  /** @param {any} blob @param {string} [encoding] */
  readAsText(blob, encoding) {
    this.#start('Text', blob, encoding === undefined ? undefined : `${encoding}`);
  }
  /** @param {any} blob */
  readAsDataURL(blob) {
    this.#start('DataURL', blob);
  }
  abort() {
    const reading = this.#state === LOADING;
    this.#result = null;
    if (!reading) return;
    clearTimeout(this.#read?.timer);
    this.#read = null;
    this.#state = DONE;
    this.#error = new DOMException('The read was aborted', 'AbortError');
    fire(this, new ProgressEvent('abort'));
    if (this.#state !== LOADING) fire(this, new ProgressEvent('loadend'));
  }
  get readyState() {
    return this.#state;
  }
  get result() {
    return this.#result;
  }
  get error() {
    return this.#error;
  }
}
for (const name of ['loadstart', 'progress', 'load', 'abort', 'error', 'loadend'])
  eventHandler(FileReader.prototype, name);
for (const [name, value] of [
  ['EMPTY', EMPTY],
  ['LOADING', LOADING],
  ['DONE', DONE],
]) {
  defineProperty(FileReader, name, { value, enumerable: true });
  defineProperty(FileReader.prototype, name, { value, enumerable: true });
}
webidlClass(FileReader, [
  'readAsArrayBuffer',
  'readAsBinaryString',
  'readAsText',
  'readAsDataURL',
  'abort',
  'readyState',
  'result',
  'error',
]);
