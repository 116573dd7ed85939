// EventSource (HTML section 9.2), over fetch.
import { queueMicrotask } from '../core/microtask.js';
import {
  ArrayPush,
  RegExpExec,
  StringIndexOf,
  StringSlice,
  defineProperty,
  toUSVString,
  webidlClass,
} from '../core/primordials.js';
import { AbortController } from '../core/abort.js';
import { DOMException } from '../core/dom_exception.js';
import { TextDecoder } from '../web/encoding.js';
import { Event, EventTarget, eventHandler, fire, reportError } from '../core/events.js';
import { fetch } from './fetch.js';
import { essenceOf, extractMimeType } from '../web/mime.js';
import { nextChunk } from '../web/streams.js';
import { clearTimeout, setTimeout } from '../core/timers.js';
import { URL } from '../web/url.js';
import { MessageEvent } from '../web/message_event.js';

const CONNECTING = 0,
  OPEN = 1,
  CLOSED = 2;
const kFirstDelay = 3000; // ms until it connects anew, where the origin has not said
const kLongestLine = 16 * 1024 * 1024; // units of one event's text
const digits = /^[0-9]+$/;
/** Errors after which connecting anew would only meet the same again. */
const futile = [
  'ERR_NETWORK_DENIED',
  'ERR_NO_NETWORK_ADAPTER',
  'ERR_ADDRESS_BLOCKED',
  'ERR_UNSUPPORTED_SCHEME',
  'ERR_REPLAY_MISS',
  'ERR_BROKER_LOST',
];

/** The lines of a text that comes in pieces: they end with CR, LF or both. */
class Lines {
  #rest = '';
  #afterCr = false;
  /** @param {string} text @returns {string[]} */
  add(text) {
    const lines = [];
    let from = this.#afterCr && text[0] === '\n' ? 1 : 0;
    if (text !== '') this.#afterCr = false;
    for (let at = from; at < text.length; at++) {
      if (text[at] !== '\n' && text[at] !== '\r') continue;
      ArrayPush(lines, this.#rest + StringSlice(text, from, at));
      this.#rest = '';
      if (text[at] === '\r') {
        if (at + 1 === text.length) this.#afterCr = true;
        else if (text[at + 1] === '\n') at++;
      }
      from = at + 1;
    }
    this.#rest += StringSlice(text, from);
    return lines;
  }
  get pending() {
    return this.#rest.length;
  }
}

export class EventSource extends EventTarget {
  #url;
  #withCredentials;
  #state = CONNECTING;
  #delay = kFirstDelay;
  #lastId = '';
  /** @type {any} */ #timer;
  /** @type {AbortController} */ #controller = new AbortController();
  /** @param {any} url @param {any} [init] */
  constructor(url, init) {
    super();
    if (arguments.length === 0) throw new TypeError('EventSource needs a URL');
    const parsed = URL.parse(toUSVString(url), globalThis.location?.href);
    if (parsed === null) throw new DOMException(`"${url}" is no URL`, 'SyntaxError');
    this.#url = parsed.href;
    this.#withCredentials = Boolean(init?.withCredentials);
    this.#connect();
  }
  get url() {
    return this.#url;
  }
  get readyState() {
    return this.#state;
  }
  get withCredentials() {
    return this.#withCredentials;
  }
  close() {
    this.#state = CLOSED;
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
  #connect() {
    const controller = (this.#controller = new AbortController());
    // In a turn of its own: where the stack ends in the constructor, whoever called that is told.
    queueMicrotask(() =>
      this.#run(controller).catch((error) => {
        if (!controller.signal.aborted) reportError(error);
      }),
    );
  }
  /** @param {AbortController} controller */
  async #run(controller) {
    const headers = { accept: 'text/event-stream', 'cache-control': 'no-cache' };
    if (this.#lastId !== '')
      /** @type {any} */ (headers)['last-event-id'] = native.latin1Decode(native.utf8Encode(this.#lastId));
    let response;
    try {
      response = await fetch(this.#url, { headers, signal: controller.signal, cache: 'no-store' });
    } catch (error) {
      return this.#reconnect(controller, error);
    }
    if (controller.signal.aborted) return;
    const mime = extractMimeType(response.headers.get('content-type'));
    if (response.status !== 200 || mime === null || essenceOf(mime) !== 'text/event-stream') {
      this.#state = CLOSED;
      controller.abort();
      this.#error(`${this.#url} answered ${response.status} with ${mime === null ? 'no type' : essenceOf(mime)}`);
      return;
    }
    this.#state = OPEN;
    fire(this, new Event('open'));
    let failed;
    try {
      await this.#read(response, controller);
    } catch (error) {
      failed = error;
    }
    this.#reconnect(controller, failed);
  }
  /** @param {any} response @param {AbortController} controller */
  async #read(response, controller) {
    const origin = new URL(response.url).origin;
    const decoder = new TextDecoder();
    const lines = new Lines();
    const reader = response.body?.getReader();
    let data = '',
      type = '',
      id = this.#lastId,
      some = false;
    for (;;) {
      if (reader === undefined) return;
      const { done, value } = await nextChunk(reader);
      if (done || controller.signal.aborted) return;
      for (const line of lines.add(decoder.decode(value, { stream: true }))) {
        if (line === '') {
          this.#lastId = id;
          if (some) {
            const event = new MessageEvent(type === '' ? 'message' : type, { data, origin, lastEventId: id });
            fire(this, event);
            if (controller.signal.aborted) return;
          }
          data = type = '';
          some = false;
          continue;
        }
        const colon = StringIndexOf(line, ':');
        const field = colon < 0 ? line : StringSlice(line, 0, colon);
        let text = colon < 0 ? '' : StringSlice(line, colon + 1);
        if (text[0] === ' ') text = StringSlice(text, 1);
        if (field === 'data') {
          data = some ? `${data}\n${text}` : text;
          some = true;
        } else if (field === 'event') type = text;
        else if (field === 'id' && StringIndexOf(text, '\0') < 0) id = text;
        else if (field === 'retry' && RegExpExec(digits, text) !== null) this.#delay = Number(text);
      }
      if (lines.pending + data.length > kLongestLine)
        throw new TypeError(`an event of ${this.#url} is longer than ${kLongestLine} characters`);
    }
  }
  /** @param {AbortController} controller @param {any} [error] */
  #reconnect(controller, error) {
    if (controller.signal.aborted || this.#state === CLOSED) return;
    controller.abort();
    this.#state = CONNECTING;
    const code = error?.cause?.posternCode;
    for (let i = 0; i < futile.length; i++) if (code === futile[i]) this.#state = CLOSED;
    this.#error(error?.message ?? `${this.#url} ended`);
    if (this.#state === CONNECTING) this.#timer = setTimeout(() => this.#connect(), this.#delay);
  }
  /** @param {string} message */
  #error(message) {
    const event = new Event('error');
    defineProperty(event, 'message', { value: message });
    fire(this, event);
  }
}
for (const name of ['open', 'message', 'error']) eventHandler(EventSource.prototype, name);
for (const [name, value] of [
  ['CONNECTING', CONNECTING],
  ['OPEN', OPEN],
  ['CLOSED', CLOSED],
]) {
  defineProperty(EventSource, name, { value, enumerable: true });
  defineProperty(EventSource.prototype, name, { value, enumerable: true });
}
webidlClass(EventSource, ['url', 'readyState', 'withCredentials', 'close']);
