// The clients of node:http and node:https, over the channel to the net broker: one exchange for a request. Connections are the
// broker's: agents are there for what programs say to them, and a request's socket knows its peer once there is a response. Names
// travel as they are written (channel/raw_fields.h). An Upgrade to WebSocket is a request of its own kind (broker/upstream/upgrade_tunnel.cc).
import constants from 'node-constants';
import { codedError } from '../core/coded_error.js';
import { abortExchange, dropExchange, errorOf, netError, openExchange, writePiece } from '../fetch/exchange.js';
import { process } from './process.js';
import { upgradedSocket } from '../fetch/sockets.js';
import { clearTimeout, setImmediate, setTimeout } from '../core/timers.js';
import { refusal } from './absent.js';
import { requestFields } from './http_request.js';
import { incomingMessage, joinFields, makeSocket, readConnection } from './http_response.js';
import { load } from './loader.js';
import { classes as netClasses, nodeError } from './net.js';
import { addServers } from './servers.js';

const { METHODS, STATUS_CODES } = constants.http;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function validateHeaderName(name) {
  if (typeof name !== 'string' || !token.test(name))
    throw codedError('ERR_INVALID_HTTP_TOKEN', `Header name must be a valid HTTP token ["${name}"]`, TypeError);
}
function validateHeaderValue(name, value) {
  if (value === undefined)
    throw codedError('ERR_HTTP_INVALID_HEADER_VALUE', `Invalid value "undefined" for header "${name}"`, TypeError);
  for (const one of Array.isArray(value) ? value : [value])
    if (/[^\t\x20-\x7e\x80-\xff]/.test(`${one}`))
      throw codedError('ERR_INVALID_CHAR', `Invalid character in header content ["${name}"]`, TypeError);
}

/** @type {any} */
let shared;
function classes() {
  if (shared !== undefined) return shared;
  const { Writable } = load('stream');
  const EventEmitter = load('events');
  const { validateAbortSignal, validatePort } = load('internal/validators');
  const { codes } = load('internal/errors');
  const { IncomingMessage } = load('_http_incoming');
  const ClientResponse = incomingMessage(IncomingMessage);

  class ClientRequest extends Writable {
    #headers = new Map();
    #exchange = null;
    #started = false;
    #timer = undefined;
    #peer;
    #response = null;
    #closed = false;
    constructor(scheme, options, callback) {
      super({ autoDestroy: false, emitClose: false });
      this.protocol = options.protocol ?? `${scheme}:`;
      if (this.protocol !== 'http:' && this.protocol !== 'https:')
        throw codedError(
          'ERR_INVALID_PROTOCOL',
          `Protocol "${this.protocol}" not supported. Expected "http:" or "https:"`,
          TypeError,
        );
      if (options.socketPath) throw refusal('http', 'request', 'a guest has no Unix sockets (socketPath)');
      for (const name of ['hostname', 'host'])
        if (options[name] !== undefined && options[name] !== null && typeof options[name] !== 'string')
          throw new codes.ERR_INVALID_ARG_TYPE(`options.${name}`, ['string', 'undefined', 'null'], options[name]);
      this.host = options.hostname || options.host || 'localhost';
      this.method = `${options.method ?? 'GET'}`.toUpperCase();
      if (!token.test(this.method))
        throw codedError('ERR_INVALID_HTTP_TOKEN', `Method must be a valid HTTP token ["${this.method}"]`, TypeError);
      if (this.method === 'CONNECT') throw refusal('http', 'request', 'CONNECT is for node:net in a guest');
      this.path = options.path || '/';
      if (/[^\x21-\xff]/.test(this.path))
        throw codedError('ERR_UNESCAPED_CHARACTERS', 'Request path contains unescaped characters', TypeError);
      if (options.port) validatePort(options.port, 'Port');
      const port = Number(options.port || options.defaultPort || 0);
      const usual = this.protocol === 'https:' ? 443 : 80;
      const name = this.host.includes(':') && this.host[0] !== '[' ? `[${this.host}]` : this.host;
      this.authority = port === 0 || port === usual ? name : `${name}:${port}`;
      this.#peer = { address: this.host, port: port || usual };
      this.agent = options.agent;
      this.finished = this.aborted = this.headersSent = this.reusedSocket = false;
      this.maxHeadersCount = null;
      this.shouldKeepAlive = true;
      const given = options.headers ?? {};
      if (Array.isArray(given)) {
        // [name, value, …] or [[name, value], …]
        const flat = given.some(Array.isArray) ? given.flat() : given;
        for (let i = 0; i < flat.length; i += 2) this.appendHeader(flat[i], flat[i + 1]);
      } else for (const key of Object.keys(given)) this.setHeader(key, given[key]);
      if (options.setHost !== false && !this.hasHeader('host')) this.setHeader('Host', this.authority);
      if (options.auth && !this.hasHeader('authorization'))
        this.setHeader('Authorization', `Basic ${Buffer.from(options.auth).toString('base64')}`);
      if (callback) this.once('response', callback);
      if (options.timeout !== undefined) this.setTimeout(options.timeout);
      const { signal } = options;
      if (signal) validateAbortSignal(signal, 'options.signal');
      if (signal?.aborted) {
        this.#started = true; // never to be
        process.nextTick(() => this.destroy(abortError(signal)));
      } else signal?.addEventListener('abort', () => this.destroy(abortError(signal)), { once: true });
      this.socket = this.connection = makeSocket(EventEmitter, this.protocol === 'https:', (error) =>
        this.destroy(error),
      );
      process.nextTick(() => {
        if (this.destroyed) return;
        this.emit('socket', this.socket);
        // Who expects to be told to continue waits for it before anything of the body.
        if (this.hasHeader('expect')) this.#start(true);
      });
    }
    // ---- headers
    setHeader(name, value) {
      if (this.headersSent)
        throw codedError('ERR_HTTP_HEADERS_SENT', 'Cannot set headers after they are sent to the client');
      validateHeaderName(name);
      validateHeaderValue(name, value);
      this.#headers.set(name.toLowerCase(), [name, value]);
      return this;
    }
    setHeaders(headers) {
      for (const [name, value] of headers) this.setHeader(name, value);
      return this;
    }
    appendHeader(name, value) {
      const known = this.#headers.get(`${name}`.toLowerCase());
      if (known === undefined) return this.setHeader(name, value);
      validateHeaderName(name);
      return this.setHeader(known[0], [].concat(known[1], value)); // as it was written first
    }
    getHeader(name) {
      return this.#headers.get(`${name}`.toLowerCase())?.[1];
    }
    hasHeader(name) {
      return this.#headers.has(`${name}`.toLowerCase());
    }
    removeHeader(name) {
      this.#headers.delete(`${name}`.toLowerCase());
    }
    getHeaders() {
      const all = { __proto__: null };
      for (const [key, [, value]] of this.#headers) all[key] = value;
      return all;
    }
    getHeaderNames() {
      return [...this.#headers.keys()];
    }
    getRawHeaderNames() {
      return [...this.#headers.values()].map(([name]) => name);
    }
    // ---- the exchange
    /** @param {Uint8Array | null | true} body */
    #start(body) {
      if (this.#started) return;
      this.#started = true;
      this.headersSent = true;
      if (this.path[0] !== '/') {
        const message = `"${this.path}" is no path: a rule is about paths, and a proxy is the policy's adapter`;
        const error = nodeError(netError({ code: 'ERR_NETWORK_DENIED', message, error: '' }, 'request'));
        return void process.nextTick(() => this.destroy(error));
      }
      const upgrades = body === null && this.#upgrades();
      const flat = requestFields({
        method: this.method,
        scheme: this.protocol.slice(0, -1),
        authority: this.authority,
        path: this.path,
        pairs: this.#pairs(),
        upgrades,
      });
      const length = body instanceof Uint8Array ? body.length : this.getHeader('content-length');
      if (body !== null && length !== undefined) flat.push('content-length', `${length}`);
      const { e, promise } = openExchange(flat, upgrades ? true : body, 'request', true, upgrades);
      this.#exchange = e;
      this.socket.carry(e);
      e.informed = (outcome) => this.#informed(outcome);
      promise.then((outcome) => {
        if (outcome.failure) return void this.destroy(nodeError(errorOf(e), this.#peer));
        if (outcome.upgraded) return this.#upgraded(outcome);
        if (upgrades) native.netEndWrite(e.id);
        this.#responded(outcome);
      });
    }
    /** Its fields: [name, value], one for each line. @returns {[string, string][]} */
    #pairs() {
      return [...this.#headers].flatMap(([key, [name, value]]) => {
        const values = Array.isArray(value) ? (key === 'cookie' ? [value.join('; ')] : value) : [value];
        return values.map((one) => /** @type {[string, string]} */ ([name, `${one}`]));
      });
    }
    /** Whether it asks for WebSocket: any other protocol is one that an origin need not switch to, and is not asked for. */
    #upgrades() {
      return this.method === 'GET' && `${this.getHeader('upgrade') ?? ''}`.trim().toLowerCase() === 'websocket';
    }
    #informed(outcome) {
      this.socket.touch();
      if (outcome.status === 100) this.emit('continue');
      const { joined } = joinFields(outcome.fields);
      this.emit('information', {
        statusCode: outcome.status,
        statusMessage: outcome.statusText,
        ...readConnection(outcome.connection).version,
        headers: joined,
        rawHeaders: outcome.fields,
      });
    }
    #responded(outcome) {
      const e = this.#exchange;
      this.socket.touch();
      const response = (this.#response = new ClientResponse(e, outcome, this.socket));
      response.req = this;
      this.res = response;
      if (this.method === 'HEAD' || outcome.status === 204 || outcome.status === 304) {
        dropExchange(e);
        response.complete = true;
        response.push(null);
      }
      response.once('end', () => process.nextTick(() => this.#close()));
      response.once('close', () => this.#close());
      // Nobody is there to read it.
      if (!this.emit('response', response)) response.resume();
    }
    #upgraded(outcome) {
      const e = this.#exchange;
      // The broker has checked them.
      const fields = [...outcome.fields, 'Upgrade', 'websocket', 'Connection', 'Upgrade'];
      const response = new ClientResponse(e, { ...outcome, status: 101, fields }, this.socket);
      response.complete = response.upgrade = true;
      response.req = this;
      this.res = response;
      const { Socket, TLSSocket } = netClasses();
      const socket = new (this.protocol === 'https:' ? TLSSocket : Socket)();
      const { remoteAddress, remotePort } = this.socket;
      const peer = { address: remoteAddress ?? this.host, port: remotePort };
      socket.opened(peer);
      socket.adopt(upgradedSocket(this.authority, e, outcome), peer);
      this.socket.end();
      response.socket = response.connection = socket;
      this.upgradeOrConnect = true;
      if (!this.emit('upgrade', response, socket, Buffer.alloc(0))) socket.destroy();
      this.#closed = true;
      clearTimeout(this.#timer);
      this.destroyed = true;
      this.emit('close');
    }
    #close() {
      clearTimeout(this.#timer);
      if (this.#closed) return;
      this.#closed = true;
      this.socket.end();
      this.emit('close');
    }
    _write(chunk, _encoding, callback) {
      this.#start(true);
      if (this.#exchange === null) return;
      writePiece(this.#exchange, Uint8Array.from(chunk)).then(
        () => callback(),
        (error) => callback(nodeError(error)),
      );
    }
    _final(callback) {
      if (this.#started && this.#exchange === null) return;
      if (this.#started) native.netEndWrite(this.#exchange.id);
      else
        this.#start(
          this.method === 'GET' || this.method === 'HEAD' || this.method === 'DELETE' || this.method === 'OPTIONS'
            ? null
            : new Uint8Array(0),
        );
      this.finished = true;
      callback();
    }
    end(chunk, encoding, callback) {
      if (typeof chunk === 'function') [chunk, encoding, callback] = [undefined, undefined, chunk];
      if (typeof encoding === 'function') [encoding, callback] = [undefined, encoding];
      // All of the body is known: it goes with its length.
      if (chunk !== undefined && chunk !== null && !this.#started && this.writableLength === 0) {
        const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
        this.#start(Uint8Array.from(bytes));
        if (this.#exchange !== null) native.netEndWrite(this.#exchange.id);
        chunk = undefined;
      }
      return super.end(chunk, encoding, callback);
    }
    flushHeaders() {
      this.#start(true);
    }
    abort() {
      if (this.aborted) return;
      this.aborted = true;
      this.emit('abort');
      this.destroy();
    }
    _destroy(error, callback) {
      clearTimeout(this.#timer);
      if (this.#exchange !== null && this.#response === null)
        abortExchange(this.#exchange, error ?? new Error('aborted'));
      this.#response?.destroy(error ?? undefined);
      this.socket.end();
      // As Node: a request that is given up before its response says so.
      const told = error ?? (this.#response === null ? codedError('ECONNRESET', 'socket hang up') : null);
      callback(told);
      setImmediate(() => this.#close());
    }
    setTimeout(ms, callback) {
      if (callback) this.once('timeout', callback);
      clearTimeout(this.#timer);
      if (ms > 0) this.#timer = setTimeout(() => this.emit('timeout'), ms).unref();
      this.timeout = ms;
      return this;
    }
    clearTimeout(callback) {
      return this.setTimeout(0, callback);
    }
    setNoDelay() {}
    setSocketKeepAlive() {}
    addTrailers() {
      throw refusal('http', 'ClientRequest.addTrailers', 'a request in a guest ends with its body');
    }
  }

  class Agent extends EventEmitter {
    constructor(options = {}) {
      super();
      this.options = { ...options };
      this.keepAlive = Boolean(options.keepAlive);
      this.maxSockets = options.maxSockets ?? Infinity;
      this.maxFreeSockets = options.maxFreeSockets ?? 256;
      this.maxTotalSockets = options.maxTotalSockets ?? Infinity;
      this.sockets = this.freeSockets = this.requests = {};
    }
    getName(options = {}) {
      return `${options.host ?? 'localhost'}:${options.port ?? ''}:${options.localAddress ?? ''}`;
    }
    destroy() {}
  }
  shared = { IncomingMessage, ClientRequest, Agent };
  return shared;
}

const abortError = (signal) =>
  Object.assign(new Error('The operation was aborted', { cause: signal.reason }), {
    name: 'AbortError',
    code: 'ABORT_ERR',
  });

/** @param {'http' | 'https'} scheme */
export function http(scheme) {
  const { IncomingMessage, ClientRequest, Agent } = classes();
  /** (url, options, callback), where any but the first may be missing. */
  const optionsOf = (input, options, callback) => {
    if (typeof options === 'function') [options, callback] = [{}, options];
    let from = input;
    if (typeof input === 'string') from = load('internal/url').urlToHttpOptions(new URL(input));
    else if (input instanceof URL) from = load('internal/url').urlToHttpOptions(input);
    else if (typeof input === 'function') [from, callback] = [{}, input];
    return [{ ...from, ...options }, callback];
  };
  const request = (input, options, callback) => {
    const [all, done] = optionsOf(input, options, callback);
    if (typeof all.host === 'string' && all.hostname === undefined) all.hostname = all.host.replace(/:\d+$/, '');
    return new ClientRequest(scheme, all, done);
  };
  return addServers({
    METHODS,
    STATUS_CODES,
    Agent,
    ClientRequest,
    IncomingMessage,
    OutgoingMessage: ClientRequest,
    globalAgent: new Agent({ keepAlive: true }),
    maxHeaderSize: 16384,
    request,
    get(input, options, callback) {
      const made = request(input, options, callback);
      made.end();
      return made;
    },
    validateHeaderName,
    validateHeaderValue,
    setMaxIdleHTTPParsers() {},
    WebSocket: globalThis.WebSocket,
    CloseEvent: globalThis.CloseEvent,
    MessageEvent: globalThis.MessageEvent,
  }, scheme);
}
