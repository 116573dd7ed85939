// TCP: connect(), as in the WinterTC sockets API. A CONNECT stream on the channel for each socket.
import { hasOwn } from '../core/primordials.js';
import { abortExchange, dropExchange, errorOf, openExchange, readPiece, refExchange, writePiece } from './exchange.js';
import { ReadableStream, WritableStream } from '../web/streams.js';

const { netEndWrite, netStream } = native;
const key = {};

/** @param {any} address "host:port", or {hostname, port} */
function hostAndPort(address) {
  if (typeof address === 'object' && address !== null) {
    const host = `${address.hostname}`;
    const port = Number(address.port);
    if (host === '' || !(port >= 1 && port <= 65535))
      throw new TypeError('connect needs a hostname and a port from 1 to 65535');
    return `${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`;
  }
  const text = `${address}`;
  if (!/^(?:[^:[\]]+|\[[^\]]+\]):[0-9]{1,5}$/.test(text)) throw new TypeError('connect needs "host:port"');
  return text;
}

/** The part of a socket that outlives startTls. */
class Connection {
  /** @param {string} authority @param {import('./exchange.js').Exchange} e @param {Promise<any>} outcome */
  constructor(authority, e, outcome) {
    this.authority = authority;
    this.e = e;
    this.opened = outcome.then((/** @type {any} */ outcome) => {
      if (outcome.failure) throw errorOf(e);
      return { remoteAddress: authority, localAddress: null, alpn: null };
    });
    this.opened.catch(() => {});
    this.closed = new Promise((resolve, reject) => {
      this.resolveClosed = resolve;
      this.rejectClosed = reject;
    });
    this.closed.catch(() => {});
    e.failed = (error) => this.fail(error);
    this.over = false;
  }
  /** @param {any} error */
  fail(error) {
    this.over = true;
    this.rejectClosed?.(error);
  }
  end() {
    this.over = true;
    this.resolveClosed?.(undefined);
  }
}

/** Whether the run goes on for a socket's sake. @type {(socket: Socket, ref: boolean) => void} */
export let refSocket;

export class Socket {
  #connection;
  #transport;
  #readable;
  #writable;
  #opened;
  #upgraded = false;
  static {
    refSocket = (socket, ref) => refExchange(socket.#connection.e, ref);
  }
  /** @param {any} token @param {Connection} connection @param {string} transport @param {Promise<any>} opened */
  constructor(token, connection, transport, opened) {
    if (token !== key) throw new TypeError('Illegal constructor');
    const c = (this.#connection = connection);
    this.#transport = transport;
    this.#opened = opened;
    const { e } = c;
    this.#readable = new ReadableStream(
      {
        type: 'bytes',
        pull: async (controller) => {
          await opened;
          const piece = await readPiece(e);
          if (piece !== undefined) return controller.enqueue(piece);
          c.end();
          controller.close();
          /** @type {any} */ (controller).byobRequest?.respond(0);
        },
        cancel: () => {
          if (!this.#upgraded) this.close();
        },
      },
      { highWaterMark: 0 },
    );
    this.#writable = new WritableStream({
      write: async (chunk) => {
        await opened;
        if (c.over) throw new TypeError('The socket is closed');
        if (!ArrayBuffer.isView(chunk) && !(chunk instanceof ArrayBuffer)) throw new TypeError('A socket takes bytes');
        const view = /** @type {any} */ (chunk);
        await writePiece(
          e,
          chunk instanceof ArrayBuffer
            ? new Uint8Array(chunk)
            : new Uint8Array(view.buffer, view.byteOffset, view.byteLength),
        );
      },
      close: async () => {
        await opened;
        if (!this.#upgraded) netEndWrite(e.id);
      },
      abort: () => {
        if (!this.#upgraded) this.close();
      },
    });
  }
  get readable() {
    return this.#readable;
  }
  get writable() {
    return this.#writable;
  }
  /** A promise of {remoteAddress, localAddress, alpn}; rejects where the connection is not made. */
  get opened() {
    return this.#opened;
  }
  /** A promise that settles when the socket is closed, by either side. */
  get closed() {
    return this.#connection.closed;
  }
  get secureTransport() {
    return this.#transport;
  }
  get upgraded() {
    return this.#upgraded;
  }
  close() {
    const c = this.#connection;
    if (!c.over) {
      c.end();
      dropExchange(c.e);
    }
    return c.closed;
  }
  /** TLS on what was plain until now; this socket's streams are over. @param {any} [options] {expectedServerHostname} */
  startTls(options) {
    if (this.#transport !== 'starttls') throw new TypeError('startTls is for sockets with secureTransport: "starttls"');
    if (this.#upgraded) throw new TypeError('TLS has begun on this socket already');
    if (this.#readable.locked || this.#writable.locked)
      throw new TypeError("The socket's streams are locked: release them first");
    this.#upgraded = true;
    const c = this.#connection;
    const host = options?.expectedServerHostname ?? options?.sni;
    const secured = (async () => {
      const info = await this.#opened;
      await writePiece(c.e, new Uint8Array(0), true);
      const fields = [
        ':method',
        'CONNECT',
        ':protocol',
        'postern-starttls',
        ':scheme',
        'https',
        ':authority',
        c.authority,
        ':path',
        `/${netStream(c.e.id)}`,
      ];
      if (host !== undefined) fields.push('postern-host', `${host}`);
      const { e, promise } = openExchange(fields, null, 'startTls');
      const outcome = await promise;
      if (outcome.failure) {
        abortExchange(c.e, errorOf(e));
        throw errorOf(e);
      }
      dropExchange(e);
      return info;
    })();
    secured.catch(() => {});
    this.#readable.cancel().catch(() => {});
    this.#writable.close().catch(() => {});
    return new Socket(key, c, 'on', secured);
  }
}

/** @param {any} address "host:port", or {hostname, port} @param {any} [options] {secureTransport: 'off' | 'on' | 'starttls', allowHalfOpen} */
export function connect(address, options) {
  const transport = options?.secureTransport === undefined ? 'off' : `${options.secureTransport}`;
  if (!hasOwn({ off: 1, on: 1, starttls: 1 }, transport))
    throw new TypeError('secureTransport is "off", "on" or "starttls"');
  if (options?.allowHalfOpen)
    throw new TypeError('allowHalfOpen is not available: a socket ends when its other side does');
  const authority = hostAndPort(address);
  const fields = [':method', 'CONNECT', ':authority', authority];
  if (transport === 'on') fields.push('postern-tls', 'on');
  const { e, promise } = openExchange(fields, true, 'connect');
  return overConnection(new Connection(authority, e, promise), transport);
}

/** @param {Connection} connection @param {string} transport */
const overConnection = (connection, transport) => new Socket(key, connection, transport, connection.opened);

/** A socket over an exchange that has been upgraded. @param {string} authority @param {import('./exchange.js').Exchange} e @param {any} outcome */
export const upgradedSocket = (authority, e, outcome) =>
  overConnection(new Connection(authority, e, Promise.resolve(outcome)), 'on');
