// A socket of node:net or node:tls where rules allow HTTP and no TCP stream, for clients that open their own sockets: what they write is
// read as HTTP/1.1 requests, one after another; each goes to the broker as a request of node:http does, and its response is written back.
// Nothing is decided here: what the broker gets are requests like any other's. What is no HTTP/1.1 fails as the stream was denied.
import { abortExchange, dropExchange, errorOf, openExchange, readPiece, refExchange, writePiece } from '../fetch/exchange.js';
import { ReadableStream, WritableStream } from '../web/streams.js';
import { clearTimeout, setTimeout } from '../core/timers.js';
import { chunkSize, malformed, mayBeRequest, parseField, parseHead, requestFields } from './http_request.js';

const kMaxHead = 64 * 1024; // bytes of a head, or of trailers
const kMaxChunkLine = 1024;
const kLineEnd = 'a line ends in CR or LF alone, or holds a NUL';
// ms until the first head: a client that waits for the server to speak first speaks no HTTP.
const kFirstHead = 5_000;

const latin1 = (/** @type {string} */ text) => Buffer.from(text, 'latin1');

/** A response's head. @param {any} outcome @param {string[]} fields names and values in turn */
function headOf(outcome, fields) {
  let text = `HTTP/1.1 ${outcome.status} ${outcome.statusText}\r\n`;
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return latin1(`${text}\r\n`);
}

/** A response's fields with one Content-Length at most, and that. @param {string[]} flat @param {boolean} bare has none */
function withLength(flat, bare) {
  const fields = [];
  let length;
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i].toLowerCase() !== 'content-length') {
      fields.push(flat[i], flat[i + 1]);
      continue;
    }
    const digits = /^[0-9]+/.exec(flat[i + 1]); // of the broker's, which has seen that they are one
    if (bare || length !== undefined || digits === null) continue;
    length = digits[0];
    fields.push(flat[i], length);
  }
  return { fields, length };
}

/** A request under way. */
class Request {
  #outcomes = [];
  #wake = () => {};
  #sent;
  /** @param {any} head of parseHead @param {string[]} fields @param {Uint8Array | null | true} body */
  constructor(head, fields, body) {
    const { e, promise } = openExchange(fields, body, 'request', true, head.upgrades);
    this.head = head;
    this.e = e;
    this.upgraded = false;
    this.answered = false;
    this.#sent = body !== true;
    /** Resolved once its response is read, or it failed. @type {Promise<void>} */
    this.done = new Promise((resolve) => {
      this.finish = () => {
        if (!this.#sent) dropExchange(e);
        this.answered = true;
        resolve();
      };
    });
    const came = (/** @type {any} */ outcome) => {
      this.#outcomes.push(outcome);
      this.#wake();
    };
    e.informed = came;
    promise.then(came);
  }
  /** The next informational response, and then the response. */
  async outcome() {
    while (this.#outcomes.length === 0) await new Promise((/** @type {any} */ resolve) => (this.#wake = resolve));
    const outcome = this.#outcomes.shift();
    if (outcome.failure) throw errorOf(this.e);
    return outcome;
  }
  /** Where the response came early nobody takes the rest. What goes wrong is told where the response is read. @param {Uint8Array} bytes */
  send(bytes) {
    if (this.answered) return undefined;
    return Promise.race([writePiece(this.e, bytes).catch(() => {}), this.done]);
  }
  end() {
    if (!this.answered) native.netEndWrite(this.e.id);
    this.#sent = true;
  }
}

/** As a Socket of sockets.js, for node:net. */
export class HttpSocket {
  #scheme;
  #authority;
  #options;
  #rest = Buffer.alloc(0);
  #step = this.#readHead;
  #left = 0; // of the body, or of a chunk
  #first = true;
  /** @type {Request | null} */ #request = null;
  /** @type {any} */ #failure = null;
  #over = false;
  #ended = false;
  #wake = () => {};
  #timer;
  #ref = true;
  /** @param {{host: string, port: number, secure: boolean, denial: any}} options where it leads, and the error of what is no HTTP */
  constructor(options) {
    this.#options = options;
    this.#scheme = options.secure ? 'https' : 'http';
    const host = options.host.includes(':') && options.host[0] !== '[' ? `[${options.host}]` : options.host;
    this.#authority = options.port === (options.secure ? 443 : 80) ? host : `${host}:${options.port}`;
    this.#timer = setTimeout(() => this.#fail(options.denial), kFirstHead);
    this.opened = Promise.resolve();
    const responses = this.#responses();
    this.readable = new ReadableStream(
      {
        pull: async (controller) => {
          const { done, value } = await responses.next();
          if (!done) return controller.enqueue(value);
          this.close();
          controller.close();
        },
        cancel: () => this.close(),
      },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream({
      write: (chunk) => this.#take(/** @type {any} */ (chunk)),
      close: () => this.#end(),
      abort: () => this.close(),
    });
  }
  /** TLS, before anything was written. */
  startTls() {
    this.close();
    return new HttpSocket({ ...this.#options, secure: true });
  }
  /** Whether the run goes on for its sake. @param {boolean} ref */
  ref(ref) {
    this.#ref = ref;
    if (ref) this.#timer.ref();
    else this.#timer.unref();
    if (this.#request !== null && !this.#request.answered) refExchange(this.#request.e, ref);
  }
  async close() {
    clearTimeout(this.#timer);
    this.#over = true;
    this.#wake();
    const request = this.#request;
    if (request === null || request.answered) return;
    abortExchange(request.e, new Error('aborted'));
    request.finish();
  }
  /** It is told after the responses before it. @param {any} error */
  #fail(error) {
    clearTimeout(this.#timer);
    this.#failure ??= error;
    this.#wake();
    if (this.#request !== null && !this.#request.answered) abortExchange(this.#request.e, error);
  }

  // ---- what is written
  /** @param {Uint8Array} bytes */
  async #take(bytes) {
    if (this.#failure !== null) throw this.#failure;
    if (this.#over) throw new TypeError('The socket is closed');
    this.#rest = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
    try {
      // Each step takes something of #rest, or waits for more.
      while (!this.#over && this.#rest.length > 0 && (await this.#step()));
    } catch (error) {
      this.#fail(error);
    }
  }
  #end() {
    this.#ended = true;
    if (this.#request?.upgraded) this.#request.end();
    else if (this.#step !== this.#readHead || this.#rest.length > 0) this.#fail(malformed('it ends too early'));
    this.#wake();
  }
  /** Takes a line that ends within `limit` bytes; undefined where its end has not come. @param {number} limit @param {string} what */
  #line(limit, what) {
    const end = this.#rest.indexOf('\r\n');
    if (end > limit || (end < 0 && this.#rest.length > limit)) throw malformed(`${what} is too long`);
    if (end < 0 && this.#rest.includes(10)) throw malformed(kLineEnd);
    if (end < 0) return undefined;
    const line = this.#rest.toString('latin1', 0, end);
    this.#rest = this.#rest.subarray(end + 2);
    return line;
  }
  async #readHead() {
    await this.#request?.done;
    if (this.#over) return false;
    const end = this.#rest.indexOf('\r\n\r\n');
    const text = this.#rest.toString('latin1', 0, end < 0 || end > kMaxHead ? kMaxHead : end + 2);
    if (this.#first && !mayBeRequest(text)) throw this.#options.denial;
    if (/\r[^\n]|(?:^|[^\r])\n|\0/.test(text)) throw malformed(kLineEnd);
    if (end > kMaxHead || (end < 0 && this.#rest.length > kMaxHead)) throw malformed('its head is too long');
    if (end < 0) return false;
    const head = parseHead(text.slice(0, -2), this.#scheme, this.#authority);
    if (head.method === 'CONNECT') throw this.#options.denial;
    clearTimeout(this.#timer);
    this.#first = false;
    this.#rest = this.#rest.subarray(end + 4);
    this.#start(head);
    return true;
  }
  /** @param {any} head */
  #start(head) {
    const fields = requestFields({ ...head, scheme: this.#scheme, authority: this.#authority });
    let body = head.upgrades || head.length !== undefined ? true : null;
    if (typeof head.length === 'number') {
      fields.push('content-length', `${head.length}`);
      // All of it is here: it can be sent again where a kept connection has ended.
      if (head.length <= this.#rest.length) {
        body = Uint8Array.from(this.#rest.subarray(0, head.length));
        this.#rest = this.#rest.subarray(head.length);
      } else {
        this.#left = head.length;
        this.#step = this.#readBody;
      }
    } else if (head.length === 'chunked') this.#step = this.#readChunkSize;
    else if (head.upgrades) this.#step = this.#readUpgraded;
    this.#request = new Request(head, fields, body);
    if (!this.#ref) refExchange(this.#request.e, false);
    this.#wake();
  }
  /** Sends what is there of what is left. @param {Request} request */
  async #sendLeft(request) {
    const piece = this.#rest.subarray(0, this.#left);
    this.#rest = this.#rest.subarray(piece.length);
    this.#left -= piece.length;
    await request.send(Uint8Array.from(piece));
    return this.#left === 0;
  }
  async #readBody() {
    const request = /** @type {Request} */ (this.#request);
    if (await this.#sendLeft(request)) {
      request.end();
      this.#step = this.#readHead;
    }
    return true;
  }
  async #readChunkSize() {
    const line = this.#line(kMaxChunkLine, "a chunk's size");
    if (line === undefined) return false;
    this.#left = chunkSize(line);
    this.#step = this.#left === 0 ? this.#readTrailer : this.#readChunk;
    if (this.#left === 0) this.#left = kMaxHead;
    return true;
  }
  async #readChunk() {
    if (await this.#sendLeft(/** @type {Request} */ (this.#request))) this.#step = this.#readChunkEnd;
    return true;
  }
  async #readChunkEnd() {
    if (this.#rest.length < 2 && this.#rest[0] === 13) return false;
    this.#line(0, 'a chunk');
    this.#step = this.#readChunkSize;
    return true;
  }
  /** The channel has none of a request: they are read over. */
  async #readTrailer() {
    const line = this.#line(this.#left, 'a trailer');
    if (line === undefined) return false;
    if (line !== '') {
      parseField(line);
      this.#left -= line.length;
      return true;
    }
    /** @type {Request} */ (this.#request).end();
    this.#step = this.#readHead;
    return true;
  }
  /** What follows an upgrade is its protocol's, if the origin switches to that. */
  async #readUpgraded() {
    const request = /** @type {Request} */ (this.#request);
    this.#left = this.#rest.length;
    await this.#sendLeft(request);
    return false;
  }

  // ---- what is read
  /** The request whose response is next; undefined at the end. */
  async #next() {
    for (;;) {
      if (this.#request !== null && !this.#request.answered) return this.#request;
      if (this.#failure !== null) throw this.#failure;
      if (this.#over || this.#ended) return undefined;
      await new Promise((/** @type {any} */ resolve) => (this.#wake = resolve));
    }
  }
  async *#responses() {
    for (let request; (request = await this.#next()) !== undefined; ) {
      try {
        yield* this.#response(request);
      } finally {
        this.#over ||= request.head.closes || request.upgraded;
        request.finish();
      }
    }
  }
  /** @param {Request} request */
  async *#response(request) {
    let outcome = await request.outcome();
    for (; outcome.status < 200; outcome = await request.outcome()) yield headOf(outcome, outcome.fields);
    const { e, head } = request;
    if (outcome.upgraded) {
      request.upgraded = true;
      yield headOf({ ...outcome, status: 101 }, [...outcome.fields, 'Upgrade', 'websocket', 'Connection', 'Upgrade']);
      for (let piece; (piece = await readPiece(e)) !== undefined; ) yield piece;
      return;
    }
    if (head.upgrades) {
      request.end();
      head.closes = true; // what was written since is nobody's
    }
    const { fields, length } = withLength(outcome.fields, outcome.status === 204);
    const bodyless = outcome.status === 204 || outcome.status === 304 || head.method === 'HEAD';
    const chunked = !bodyless && length === undefined;
    if (chunked) fields.push('Transfer-Encoding', 'chunked');
    if (head.closes) fields.push('Connection', 'close');
    yield headOf(outcome, fields);
    if (bodyless) return dropExchange(e);
    for (let piece; (piece = await readPiece(e)) !== undefined; ) {
      if (!chunked) yield piece;
      else if (piece.length > 0) yield Buffer.concat([latin1(`${piece.length.toString(16)}\r\n`), piece, latin1('\r\n')]);
    }
    if (!chunked) return;
    let end = '0\r\n';
    const trailers = e.trailers ?? [];
    for (let i = 0; i < trailers.length; i += 2) end += `${trailers[i]}: ${trailers[i + 1]}\r\n`;
    yield latin1(`${end}\r\n`);
  }
}
