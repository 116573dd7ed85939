// WebSocket (WebSockets standard). The broker speaks the protocol with the origin (broker/upstream/websocket_tunnel.cc); on the channel
// each message is one frame: kind, length as 32 bits, payload.
import { concatBytes, defineProperty, toUSVString, webidlClass } from '../core/primordials.js';
import { Blob } from '../web/blob.js';
import { DOMException } from '../core/dom_exception.js';
import { ErrorEvent, Event, EventTarget, eventHandler, fire } from '../core/events.js';
import { appendHeaders, targetOf } from './fetch.js';
import { Headers, headerList } from './headers.js';
import { dropExchange, netError, openExchange, readPiece, writePiece } from './exchange.js';
import { MessageEvent } from '../web/message_event.js';
import { URL } from '../web/url.js';

const { utf8Encode, utf8Decode } = native;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const HEAD = 5;

export class CloseEvent extends Event {
  #init;
  /** @param {string} type @param {any} [init] */
  constructor(type, init) {
    super(type, init);
    this.#init = { wasClean: false, code: 0, reason: '', ...init };
  }
  get wasClean() {
    return this.#init.wasClean;
  }
  get code() {
    return this.#init.code;
  }
  get reason() {
    return this.#init.reason;
  }
}
webidlClass(CloseEvent, ['wasClean', 'code', 'reason']);

/** @param {number} kind @param {Uint8Array} payload */
function frame(kind, payload) {
  const n = payload.length;
  return concatBytes([new Uint8Array([kind, n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]), payload]);
}

/** @param {string} url */
function parseUrl(url) {
  const parsed = URL.parse(url, globalThis.location?.href);
  if (parsed === null) throw new DOMException(`"${url}" is no URL`, 'SyntaxError');
  if (parsed.protocol === 'http:') parsed.protocol = 'ws:';
  if (parsed.protocol === 'https:') parsed.protocol = 'wss:';
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:')
    throw new DOMException(`a WebSocket's URL begins with ws: or wss:, not ${parsed.protocol}`, 'SyntaxError');
  if (parsed.href.includes('#')) throw new DOMException("a WebSocket's URL has no fragment", 'SyntaxError');
  return parsed;
}

/**
 * The headers of a WebSocket, as Node.js takes them in options, that a guest may set: those of fetch, but for what the handshake is made of.
 * @param {any} init @returns {import('./headers.js').Field[]}
 */
function ownHeaders(init) {
  return headerList(new Headers(init)).filter((field) => !field[0].startsWith('sec-websocket-'));
}

/** @param {any} protocols */
function protocolList(protocols) {
  const several = typeof protocols === 'object' && protocols !== null;
  const list = protocols === undefined ? [] : several ? [...protocols].map((p) => `${p}`) : [`${protocols}`];
  const seen = new Set();
  for (const p of list) {
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(p) || seen.has(p.toLowerCase()))
      throw new DOMException(`"${p}" is no subprotocol, or stands twice`, 'SyntaxError');
    seen.add(p.toLowerCase());
  }
  return list;
}

export class WebSocket extends EventTarget {
  #url;
  #state = 0;
  #protocol = '';
  #binaryType = 'blob';
  #buffered = 0;
  #e;
  /** @type {Promise<any>} */ #writes = Promise.resolve();
  /** @type {{code: number, reason: string} | null} */ #closing = null;
  /** @param {any} url @param {any} [init] subprotocols, or {protocols, headers} as in Node.js */
  constructor(url, init) {
    super();
    if (arguments.length === 0) throw new TypeError('WebSocket needs a URL');
    this.#url = parseUrl(toUSVString(url));
    const options = typeof init === 'object' && init !== null && init[Symbol.iterator] === undefined ? init : null;
    const list = protocolList(options === null ? init : options.protocols);
    const headers = options?.headers === undefined ? [] : ownHeaders(options.headers);
    const flat = [
      ':method',
      'CONNECT',
      ':protocol',
      'websocket',
      ':scheme',
      this.#url.protocol === 'wss:' ? 'https' : 'http',
      ':authority',
      this.#url.host,
      ':path',
      targetOf(this.#url),
    ];
    appendHeaders(flat, headers, 'WebSocket');
    if (!headers.some((field) => field[0] === 'user-agent')) flat.push('user-agent', 'Postern');
    if (list.length > 0) flat.push('sec-websocket-protocol', list.join(', '));
    const { e, promise } = openExchange(flat, true, 'WebSocket');
    this.#e = e;
    promise.then((/** @type {any} */ outcome) => this.#opened(outcome));
  }

  /** @param {any} outcome */
  #opened(outcome) {
    if (outcome.failure) return this.#failed(outcome.failure);
    for (let i = 0; i < outcome.fields.length; i += 2) {
      if (outcome.fields[i] === 'sec-websocket-protocol') this.#protocol = outcome.fields[i + 1];
    }
    this.#read();
    if (this.#state !== 0) return;
    this.#state = 1;
    fire(this, new Event('open'));
  }

  async #read() {
    let bytes = new Uint8Array(0);
    try {
      for (;;) {
        while (bytes.length >= HEAD) {
          const size = ((bytes[1] << 24) | (bytes[2] << 16) | (bytes[3] << 8) | bytes[4]) >>> 0;
          if (bytes.length < HEAD + size) break;
          this.#message(bytes[0], bytes.slice(HEAD, HEAD + size));
          bytes = bytes.subarray(HEAD + size);
        }
        const piece = await readPiece(this.#e);
        if (piece === undefined) break;
        bytes = bytes.length === 0 ? piece : concatBytes([bytes, piece]);
      }
    } catch (error) {
      return this.#failed({ reason: error });
    }
    this.#ended(this.#closing !== null);
  }

  /** @param {number} kind @param {Uint8Array} payload */
  #message(kind, payload) {
    if (kind === CLOSE) {
      const code = payload.length < 2 ? 1005 : (payload[0] << 8) | payload[1];
      this.#closing = { code, reason: utf8Decode(payload.subarray(2), false) };
      this.#state = 2;
    } else if (this.#state === 1) {
      const data =
        kind === TEXT
          ? utf8Decode(payload, false)
          : this.#binaryType === 'arraybuffer'
            ? payload.buffer
            : new Blob([payload]);
      fire(this, new MessageEvent('message', { data, origin: this.#url.origin }));
    }
  }

  /** @param {any} failure */
  #failed(failure) {
    if (this.#state === 3) return;
    const error = 'reason' in failure ? failure.reason : netError(failure, 'WebSocket');
    this.#state = 3;
    fire(this, new ErrorEvent('error', { error, message: error?.message }));
    fire(this, new CloseEvent('close', { wasClean: false, code: 1006, reason: '' }));
  }

  /** @param {boolean} clean */
  #ended(clean) {
    if (this.#state === 3) return;
    this.#state = 3;
    const { code, reason } = this.#closing ?? { code: 1006, reason: '' };
    fire(this, new CloseEvent('close', { wasClean: clean, code, reason }));
  }

  /** @param {number} kind @param {Uint8Array} payload */
  #write(kind, payload) {
    const size = payload.length;
    this.#buffered += size;
    // Messages leave in order; what failed is told by the reading side.
    this.#writes = this.#writes
      .then(() => writePiece(this.#e, frame(kind, payload)))
      .then(
        () => {
          this.#buffered -= size;
        },
        () => {},
      );
  }

  /** @param {any} data */
  send(data) {
    if (arguments.length === 0) throw new TypeError('send needs data');
    if (this.#state === 0) throw new DOMException('The WebSocket is not open yet', 'InvalidStateError');
    if (data instanceof Blob) {
      const size = data.size;
      const bytes = data.arrayBuffer();
      this.#buffered += size;
      this.#writes = this.#writes
        .then(async () => {
          this.#buffered -= size;
          if (this.#state === 1) await writePiece(this.#e, frame(BINARY, new Uint8Array(await bytes)));
        })
        .catch(() => {});
      return;
    }
    const binary = data instanceof ArrayBuffer || ArrayBuffer.isView(data);
    const payload = !binary
      ? utf8Encode(toUSVString(data))
      : data instanceof ArrayBuffer
        ? new Uint8Array(data.slice(0))
        : new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
    if (this.#state !== 1) this.#buffered += payload.length;
    else this.#write(binary ? BINARY : TEXT, payload);
  }

  /** @param {any} [code] @param {any} [reason] */
  close(code, reason) {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code <= 4999))
      throw new DOMException('A close code is 1000 or 3000 to 4999', 'InvalidAccessError');
    const why = reason === undefined ? new Uint8Array(0) : utf8Encode(toUSVString(reason));
    if (why.length > 123) throw new DOMException('A close reason has at most 123 bytes', 'SyntaxError');
    if (this.#state >= 2) return;
    if (this.#state === 0) {
      dropExchange(this.#e);
      this.#state = 2;
      Promise.resolve().then(() =>
        this.#failed({ reason: new DOMException('The WebSocket was closed before it was open', 'AbortError') }),
      );
      return;
    }
    this.#state = 2;
    const number = code === undefined ? [] : [code >> 8, code & 255];
    this.#write(CLOSE, concatBytes([new Uint8Array(why.length > 0 && code === undefined ? [3, 232] : number), why]));
  }

  get url() {
    return this.#url.href;
  }
  get readyState() {
    return this.#state;
  }
  get bufferedAmount() {
    return this.#buffered;
  }
  get protocol() {
    return this.#protocol;
  }
  get extensions() {
    return ''; // none is offered, so none can be chosen
  }
  get binaryType() {
    return this.#binaryType;
  }
  set binaryType(value) {
    if (value === 'blob' || value === 'arraybuffer') this.#binaryType = value;
  }
}
for (const [name, value] of [
  ['CONNECTING', 0],
  ['OPEN', 1],
  ['CLOSING', 2],
  ['CLOSED', 3],
]) {
  defineProperty(WebSocket, name, { value, enumerable: true });
  defineProperty(WebSocket.prototype, name, { value, enumerable: true });
}
for (const name of ['open', 'message', 'error', 'close']) eventHandler(WebSocket.prototype, name);
webidlClass(WebSocket, [
  'url',
  'readyState',
  'bufferedAmount',
  'protocol',
  'extensions',
  'binaryType',
  'send',
  'close',
]);
