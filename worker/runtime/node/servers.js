// Servers of node:net, tls, http and https. A guest cannot listen; all that a server does without that works: frameworks are made,
// have their routes, and answer what is put into them (fastify's inject). node:http's Server and ServerResponse are Node's own.
import { process } from './process.js';
import { refusal } from './absent.js';
import { load } from './loader.js';

const noListening =
  'a guest cannot listen at a port; write export default { fetch(request) { … } } instead, and let it answer by postern serve --handler=FILE --listen=PORT';

/** A constructor that is called with and without `new`, and by those that inherit from it in the old way. @param {string} module @param {any} Parent @param {(server: any, args: any[]) => void} begin */
function serverClass(module, Parent, begin) {
  /** @type {any} */
  const Server = function Server(/** @type {any[]} */ ...args) {
    if (!(this instanceof Server)) return new Server(...args);
    begin(this, args);
  };
  Object.setPrototypeOf(Server.prototype, Parent.prototype);
  Object.setPrototypeOf(Server, Parent);
  Object.defineProperty(Server.prototype, 'listen', {
    value: function listen() {
      throw refusal(`${module}.Server`, 'listen', noListening);
    },
    writable: true,
    configurable: true,
  });
  return Server;
}

/** @param {() => any} make */
function once(make) {
  let made;
  return () => (made ??= make());
}

const netServer = once(() => {
  const EventEmitter = load('events');
  const Server = serverClass('net', EventEmitter, (server, [options, listener]) => {
    EventEmitter.call(server);
    if (typeof options === 'function') [options, listener] = [{}, options];
    else if (typeof options !== 'object')
      if (options !== undefined && options !== null)
        throw new (load('internal/errors').codes.ERR_INVALID_ARG_TYPE)('options', 'Object', options);
    if (typeof listener === 'function') server.on('connection', listener);
    server.allowHalfOpen = options?.allowHalfOpen ?? false;
    server.pauseOnConnect = Boolean(options?.pauseOnConnect);
  });
  const methods = {
    address: () => null,
    getConnections(/** @type {Function} */ callback) {
      process.nextTick(callback, null, 0);
      return this;
    },
    /** It never ran. @param {Function} [callback] */
    close(callback) {
      const { ERR_SERVER_NOT_RUNNING } = load('internal/errors').codes;
      if (typeof callback === 'function') this.once('close', () => callback(new ERR_SERVER_NOT_RUNNING()));
      process.nextTick(() => this.emit('close'));
      return this;
    },
    async [Symbol.asyncDispose]() {},
    ref() {
      return this;
    },
    unref() {
      return this;
    },
  };
  for (const name of Reflect.ownKeys(methods))
    Object.defineProperty(Server.prototype, name, { value: methods[name], writable: true, configurable: true });
  Object.defineProperty(Server.prototype, 'listening', { get: () => false, configurable: true, enumerable: true });
  return Server;
});

/** What TLS adds: secrets for connections, of which there are none. @param {any} Server */
function withContexts(Server) {
  for (const name of ['addContext', 'setSecureContext', 'setTicketKeys'])
    Object.defineProperty(Server.prototype, name, { value() {}, writable: true, configurable: true });
  return Server;
}

const tlsServer = once(() => {
  const Server = serverClass('tls', netServer(), (server, [options, listener]) => {
    if (typeof options === 'function') [options, listener] = [{}, options];
    netServer().call(server, options);
    if (typeof listener === 'function') server.on('secureConnection', listener);
  });
  return withContexts(Server);
});

/** @param {'http' | 'https'} module */
function overNodeHttp(module) {
  const { Server } = load('_http_server');
  return serverClass(module, Server, (server, args) => {
    Server.apply(server, args);
    // In the place of Node's own listener: there is no parser for what a connection brings.
    server._events.connection = () => {
      throw refusal(
        `${module}.Server`,
        'connection',
        'no connection reaches a guest; put a request into the server by its "request" event',
      );
    };
  });
}
const httpServer = once(() => overNodeHttp('http'));
const httpsServer = once(() => withContexts(overNodeHttp('https')));

const servers = { net: netServer, tls: tlsServer, http: httpServer, https: httpsServer };

/** Gives the exports of module NAME its servers, which are loaded when they are first asked for. @param {any} exports @param {'net' | 'tls' | 'http' | 'https'} name */
export function addServers(exports, name) {
  const Server = servers[name];
  const lazy = { Server, ...(name.startsWith('http') && { ServerResponse: () => load('_http_server').ServerResponse }) };
  for (const each of Object.keys(lazy))
    Object.defineProperty(exports, each, { get: lazy[each], configurable: true, enumerable: true });
  exports.createServer = function createServer(/** @type {any[]} */ ...args) {
    return new (Server())(...args);
  };
  return exports;
}
