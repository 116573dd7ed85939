// The clients of node:net and node:tls, over the broker's TCP (sockets.js), or where rules allow HTTP alone over that (http_socket.js).
import { nodeCodes } from 'failure-codes';
import constants from 'node-constants';
import { process } from './process.js';
import { connect, refSocket } from '../fetch/sockets.js';
import { clearTimeout, setImmediate, setTimeout } from '../core/timers.js';
import { absent, refusal } from './absent.js';
import { HttpSocket } from './http_socket.js';
import { load } from './loader.js';
import { addServers } from './servers.js';

/** By Node's code: the number and the call that its errors have. @type {Record<string, [number, string]>} */
const system = {
  __proto__: null,
  ECONNREFUSED: [-111, 'connect'],
  EHOSTUNREACH: [-113, 'connect'],
  ENETUNREACH: [-101, 'connect'],
  ETIMEDOUT: [-110, 'connect'],
  ECONNRESET: [-104, 'read'],
  ENOTFOUND: [-3008, 'getaddrinfo'],
  EAI_AGAIN: [-3001, 'getaddrinfo'],
};
/**
 * The error of an exchange as Node's modules give it: with a code of Node's where there is one, and ours in `posternCode`.
 * @param {any} error @param {{address: string, port: number}} [peer]
 */
export function nodeError(error, peer) {
  const posternCode = error?.cause?.posternCode;
  if (posternCode === undefined) return error;
  const { message } = error.cause;
  const code = nodeCodes[posternCode] ?? posternCode;
  const cause = Object.assign(new Error(message), { code: posternCode });
  const [errno, syscall] = system[code] ?? [];
  const where = syscall === 'getaddrinfo' ? { hostname: peer?.address } : syscall === 'connect' ? peer : undefined;
  return Object.assign(new Error(message, { cause }), errno && { errno, syscall, ...where }, { code, posternCode });
}

const octets = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const isIPv4 = (text) => octets.test(`${text}`);
const isIPv6 = (text) => {
  const [address, zone] = `${text}`.split('%');
  return (
    address.includes(':') && (zone === undefined || zone !== '') && native.urlParse(`http://[${address}]`) !== undefined
  );
};
const isIP = (text) => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0);


/** (options, callback), (port, host, callback) or (path, callback). @param {any[]} args */
function optionsOf(args) {
  const callback = typeof args.at(-1) === 'function' ? args.at(-1) : undefined;
  const [first, second, third] = args;
  if (typeof first === 'object' && first !== null) return [first, callback];
  if (typeof first === 'string' && !/^\d+$/.test(first)) return [{ path: first }, callback];
  const more = [second, third].find((value) => typeof value === 'object' && value !== null) ?? {};
  return [{ ...more, port: Number(first), host: typeof second === 'string' ? second : more.host }, callback];
}

/** @param {any} socket @param {boolean} ref */
const setRef = (socket, ref) => (socket instanceof HttpSocket ? socket.ref(ref) : refSocket(socket, ref));

/** @type {any} */
let shared;
export function classes() {
  if (shared !== undefined) return shared;
  const { Duplex } = load('stream');
  const { validateAbortSignal, validateNumber, validatePort } = load('internal/validators');
  const { AbortError, codes } = load('internal/errors');
  /** What failed, as Node's errors say it. @param {any} error @param {string} syscall @param {any} [more] */
  const failed = (error, syscall, more) => {
    if (error.posternCode !== undefined) return error; // is one already
    const told = nodeError(error, more);
    told.code ??= 'EPIPE'; // the other side has ended, and with it the socket
    return told.syscall === 'getaddrinfo' ? told : Object.assign(told, { syscall }, more);
  };

  class Socket extends Duplex {
    #socket = null;
    #reader = null;
    #writer = null;
    #reading = false;
    #timer = undefined;
    #timeout = 0;
    #ref = true;
    constructor(options = {}) {
      super({ allowHalfOpen: Boolean(options.allowHalfOpen), autoDestroy: true, emitClose: false });
      this.connecting = false;
      this.bytesRead = this.bytesWritten = 0;
      this.pending = true;
    }
    get inner() {
      return this.#socket;
    }
    connect(...args) {
      const [options, callback] = optionsOf(args);
      if (options.path !== undefined) throw refusal('net', 'connect', 'a guest has no Unix sockets');
      if (options.port === undefined) throw new codes.ERR_MISSING_ARGS(['options', 'port', 'path']);
      validatePort(options.port);
      if (options.timeout) this.setTimeout(options.timeout);
      if (options.signal) this.#heed(options.signal);
      const host = options.host ?? 'localhost';
      if (callback) this.once(this.connectEvent, callback);
      this.connecting = true;
      const peer = { address: host, port: Number(options.port) };
      let socket;
      try {
        socket = connect({ hostname: host, port: options.port }, { secureTransport: this.transport });
      } catch (error) {
        // After the caller had time to listen.
        queueMicrotask(() => this.destroy(error));
        return this;
      }
      this.adopt(socket, peer);
      return this;
    }
    /** @param {any} signal */
    #heed(signal) {
      validateAbortSignal(signal, 'options.signal');
      const abort = () => this.destroy(new AbortError(undefined, { cause: signal.reason }));
      if (signal.aborted) return void process.nextTick(abort);
      signal.addEventListener('abort', abort, { once: true });
      this.once('close', () => signal.removeEventListener('abort', abort));
    }
    /** @param {any} socket of sockets.js or http_socket.js, opened or not @param {{address: string, port: number}} peer */
    adopt(socket, peer) {
      this.#socket = socket;
      if (!this.#ref) setRef(socket, false);
      this.#reader = socket.readable.getReader();
      this.#writer = socket.writable.getWriter();
      this.#writer.closed.catch(() => {});
      this.#reader.closed.catch(() => {});
      socket.opened.then(
        () => {
          if (this.destroyed) return;
          if (this.pending) {
            this.opened(peer);
            this.emit('connect');
            if (this.connectEvent !== 'connect') this.emit(this.connectEvent);
            this.emit('ready');
          }
          this.#touch();
          this.read(0);
        },
        (error) => this.#refused(error, peer),
      );
    }
    /** @param {any} error @param {{address: string, port: number}} peer */
    #refused(error, peer) {
      const denial = failed(error, 'connect', peer);
      if (denial.posternCode !== 'ERR_STREAM_DENIED' || this.destroyed || peer.address === undefined)
        return void this.destroy(denial);
      const secure = this.transport === 'on';
      this.adopt(new HttpSocket({ host: peer.address, port: peer.port, secure, denial }), peer);
    }
    /** @param {{address: string, port: number}} peer */
    opened(peer) {
      this.connecting = this.pending = false;
      this.remoteAddress = peer.address;
      this.remotePort = peer.port;
      this.remoteFamily = isIPv6(peer.address) ? 'IPv6' : 'IPv4';
    }
    /** Lets go of it, for startTls. */
    release() {
      this.#reader.releaseLock();
      this.#writer.releaseLock();
      this.#reader = null;
      return this.#socket;
    }
    #touch() {
      clearTimeout(this.#timer);
      if (this.#timeout > 0) this.#timer = setTimeout(() => this.emit('timeout'), this.#timeout).unref();
    }
    _read() {
      if (this.pending) return void this.once('connect', () => this._read());
      const reader = this.#reader;
      if (this.#reading || reader === null) return;
      this.#reading = true;
      reader.read().then(
        ({ done, value }) => {
          this.#reading = false;
          this.#touch();
          if (done) return void this.push(null);
          this.bytesRead += value.length;
          this.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
        },
        (error) => {
          if (this.#reader === reader) this.destroy(failed(error, 'read')); // else it was released
        },
      );
    }
    _write(chunk, _encoding, callback) {
      if (this.pending) {
        const closed = () => callback(new codes.ERR_SOCKET_CLOSED_BEFORE_CONNECTION());
        this.once('close', closed);
        return void this.once('connect', () => {
          this.off('close', closed);
          this._write(chunk, _encoding, callback);
        });
      }
      this.#writer.write(Uint8Array.from(chunk)).then(
        () => {
          this.bytesWritten += chunk.length;
          this.#touch();
          callback();
        },
        (error) => callback(failed(error, 'write')),
      );
    }
    _final(callback) {
      if (this.#writer === null) return callback();
      if (this.pending) return void this.once('connect', () => this._final(callback));
      this.#writer.close().then(
        () => callback(),
        () => callback(),
      );
    }
    _destroy(error, callback) {
      clearTimeout(this.#timer);
      this.connecting = false;
      this.#socket?.close().catch(() => {});
      callback(error);
      setImmediate(() => this.emit('close', Boolean(error)));
    }
    setTimeout(ms, callback) {
      validateNumber(ms, 'msecs');
      if (ms < 0 || !Number.isFinite(ms)) throw new codes.ERR_OUT_OF_RANGE('msecs', 'a non-negative finite number', ms);
      this.#timeout = ms;
      if (callback) this.once('timeout', callback);
      this.#touch();
      return this;
    }
    destroySoon() {
      if (this.writable) this.end();
      if (this.writableFinished) this.destroy();
      else this.once('finish', () => this.destroy());
    }
    resetAndDestroy() {
      return this.destroy();
    }
    setNoDelay() {
      return this;
    }
    setKeepAlive() {
      return this;
    }
    ref() {
      return this.#setRef(true);
    }
    unref() {
      return this.#setRef(false);
    }
    #setRef(ref) {
      this.#ref = ref;
      if (this.#socket !== null) setRef(this.#socket, ref);
      return this;
    }
    address() {
      return {};
    }
    get readyState() {
      return this.connecting
        ? 'opening'
        : this.readable && this.writable
          ? 'open'
          : this.readable
            ? 'readOnly'
            : this.writable
              ? 'writeOnly'
              : 'closed';
    }
  }
  Socket.prototype.connectEvent = 'connect';
  Socket.prototype.transport = 'starttls';

  class JSStreamSocket {
    constructor() {
      throw refusal('tls', 'TLSSocket', "TLS is the broker's, over connections that it made: use tls.connect");
    }
  }
  class TLSSocket extends Socket {
    constructor(options) {
      super(options);
      // http2-wrapper (of got) takes the class from here when it is loaded, and uses it for HTTP/2 alone.
      if (typeof options?.pipe === 'function') this._handle = { _parentWrap: { constructor: JSStreamSocket } };
      this.encrypted = true;
      this.authorized = true;
      this.authorizationError = null;
      this.alpnProtocol = false;
    }
    getPeerCertificate() {
      return {};
    }
    getProtocol() {
      return 'TLSv1.3';
    }
    getCipher() {
      return {};
    }
    getSession() {
      return undefined;
    }
    isSessionReused() {
      return false;
    }
  }
  TLSSocket.prototype.connectEvent = 'secureConnect';
  TLSSocket.prototype.transport = 'on';
  shared = { Socket, TLSSocket };
  return shared;
}

const make = (...args) => new (classes().Socket)(typeof args[0] === 'object' ? args[0] : {}).connect(...args);

export const net = {
  get Socket() {
    return classes().Socket;
  },
  get Stream() {
    return classes().Socket;
  },
  connect: make,
  createConnection: make,
  isIP,
  isIPv4,
  isIPv6,
  BlockList: absent('net', 'BlockList', "who may be reached is the policy's business"),
  SocketAddress: absent('net', 'SocketAddress', 'a guest has no addresses'),
  getDefaultAutoSelectFamily: () => true,
  setDefaultAutoSelectFamily() {},
  getDefaultAutoSelectFamilyAttemptTimeout: () => 250,
  setDefaultAutoSelectFamilyAttemptTimeout() {},
};

export const tls = {
  get TLSSocket() {
    return classes().TLSSocket;
  },
  connect(...args) {
    const [options, callback] = optionsOf(args);
    if (options.rejectUnauthorized === false)
      throw refusal('tls', 'connect', 'certificates are always checked; the policy says whom to trust (tls.ca_file)');
    const socket = new (classes().TLSSocket)(options);
    if (options.socket === undefined) return socket.connect(options, callback);
    if (callback) socket.once('secureConnect', callback);
    // TLS on a connection that is there already.
    const peer = { address: options.socket.remoteAddress, port: options.socket.remotePort };
    const secured = options.socket.release().startTls({ expectedServerHostname: options.servername ?? options.host });
    socket.adopt(secured, peer);
    return socket;
  },
  createSecureContext: () => ({}),
  checkServerIdentity: () => undefined,
  getCiphers: () => [],
  rootCertificates: Object.freeze([]),
  CLIENT_RENEG_LIMIT: 3,
  CLIENT_RENEG_WINDOW: 600,
  DEFAULT_CIPHERS: constants.crypto.defaultCoreCipherList,
  DEFAULT_ECDH_CURVE: 'auto',
  DEFAULT_MIN_VERSION: 'TLSv1.2',
  DEFAULT_MAX_VERSION: 'TLSv1.3',
};

addServers(net, 'net');
addServers(tls, 'tls');
