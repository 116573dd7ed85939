// What node:http has of a response: its fields, its connection, and the message that is read.
import constants from 'node-constants';
import { abortExchange, readPiece, refExchange } from '../fetch/exchange.js';
import { clearTimeout, setTimeout } from '../core/timers.js';
import { nodeError } from './net.js';

const { STATUS_CODES } = constants.http;

const single = new Set(
  'age authorization content-length content-type etag expires from host if-modified-since if-unmodified-since last-modified location max-forwards proxy-authorization referer retry-after server user-agent'.split(
    ' ',
  ),
);

/** A response's or trailer's fields, as Node joins those of one name. @param {string[]} flat names and values in turn */
export function joinFields(flat) {
  const joined = {};
  const distinct = { __proto__: null };
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i].toLowerCase();
    const value = flat[i + 1];
    (distinct[name] ??= []).push(value);
    if (name === 'set-cookie') (joined[name] ??= []).push(value);
    else if (!(name in joined)) joined[name] = value;
    else if (!single.has(name)) joined[name] += `${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  return { joined, distinct };
}

/** "VERSION ADDRESS PORT" of a response (channel/raw_fields.h). @param {string} text */
export function readConnection(text) {
  const [version, address, port] = text.split(' ');
  const httpVersion = version === '2' ? '2.0' : version || '1.1';
  const [major, minor] = httpVersion.split('.').map(Number);
  return { version: { httpVersion, httpVersionMajor: major, httpVersionMinor: minor }, address, port: Number(port) };
}

/** What a program takes for its connection. */
export const makeSocket = (EventEmitter, encrypted, abort) => {
  let exchange = null;
  let ref = true;
  let timer = undefined;
  let delay = 0;
  return Object.assign(new EventEmitter(), {
    encrypted,
    connecting: false,
    destroyed: false,
    readable: true,
    writable: true,
    authorized: encrypted,
    /** Something moved. */
    touch() {
      clearTimeout(timer);
      if (delay > 0 && !this.destroyed) timer = setTimeout(() => this.emit('timeout'), delay).unref();
    },
    carry(e) {
      exchange = e;
      if (!ref) refExchange(e, false);
      this.touch();
    },
    connected(address, port) {
      this.remoteAddress = address;
      this.remotePort = port;
      this.remoteFamily = address.includes(':') ? 'IPv6' : 'IPv4';
    },
    setTimeout(ms, callback) {
      delay = Number(ms) || 0;
      if (callback) this.once('timeout', callback);
      this.touch();
      return this;
    },
    setNoDelay() {
      return this;
    },
    setKeepAlive() {
      return this;
    },
    ref() {
      ref = true;
      if (exchange !== null) refExchange(exchange, true);
      return this;
    },
    unref() {
      ref = false;
      if (exchange !== null) refExchange(exchange, false);
      return this;
    },
    end() {
      clearTimeout(timer);
      this.destroyed = true;
    },
    destroy(error) {
      this.end();
      abort(error);
      return this;
    },
    address: () => ({}),
  });
};

/** Of a client. What a program makes itself, for a server's part, is Node's own. @param {any} NodeIncomingMessage */
export const incomingMessage = (NodeIncomingMessage) =>
  class IncomingMessage extends NodeIncomingMessage {
    constructor(exchange, outcome, socket) {
      super(socket);
      this._readableState.readingMore = false; // Node's parser does that
      const { version, address, port } = readConnection(outcome.connection);
      Object.assign(this, version);
      if (address !== undefined) socket.connected(address, port);
      this.statusCode = outcome.status;
      this.statusMessage = outcome.statusText || STATUS_CODES[outcome.status] || '';
      const { joined, distinct } = joinFields(outcome.fields);
      this.headers = joined;
      this.headersDistinct = distinct;
      this.rawHeaders = outcome.fields;
      this.trailers = {};
      this.trailersDistinct = { __proto__: null };
      this.rawTrailers = [];
      this.url = '';
      this.method = null;
      this.complete = false;
      this.aborted = false;
      this.socket = this.connection = socket;
      Object.defineProperty(this, 'exchange', { value: exchange, enumerable: false });
    }
    #complete() {
      this.complete = true;
      const { trailers } = this.exchange;
      if (trailers === null) return;
      this.rawTrailers = trailers;
      const { joined, distinct } = joinFields(trailers);
      this.trailers = joined;
      this.trailersDistinct = distinct;
    }
    async _read() {
      if (this.reading) return;
      Object.defineProperty(this, 'reading', { value: true, writable: true, configurable: true, enumerable: false });
      try {
        const piece = await readPiece(this.exchange);
        this.reading = false;
        this.socket.touch();
        if (piece === undefined) this.#complete();
        this.push(piece === undefined ? null : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
      } catch (error) {
        this.aborted = true;
        this.emit('aborted');
        this.destroy(nodeError(error));
      }
    }
    _destroy(error, callback) {
      if (!this.complete) abortExchange(this.exchange, error ?? new Error('aborted'));
      callback(error);
    }
    setTimeout(ms, callback) {
      this.socket.setTimeout(ms);
      if (callback) this.on('timeout', callback);
      this.socket.once('timeout', () => this.emit('timeout'));
      return this;
    }
  };
