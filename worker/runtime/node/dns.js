// node:dns, as far as a guest can have it: names are resolved by the broker, when a request is made, and it is the broker that
// decides about the addresses. What is an address already, and localhost, is known here.
import { setImmediate } from '../timers.js';
import { absent } from './absent.js';
import { net } from './net.js';

const reason = 'the broker resolves names when a request is made; connect by name';

/** @param {any} name @param {any} options @returns {{address: string, family: number}[]} */
function known(name, options) {
  const family = typeof options === 'number' ? options : Number(`${options?.family ?? 0}`.replace('IPv', ''));
  const kind = net.isIP(name);
  const found =
    kind !== 0
      ? [{ address: name, family: kind }]
      : /^(?:.+\.)?localhost\.?$/i.test(name)
        ? [{ address: '127.0.0.1', family: 4 }]
        : [];
  const fitting = found.filter((one) => family === 0 || one.family === family);
  if (fitting.length > 0) return fitting;
  throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}: ${reason}`), {
    code: 'ENOTFOUND',
    errno: -3008,
    syscall: 'getaddrinfo',
    hostname: name,
  });
}

const lookup = async (name, options = {}) => (options?.all ? known(name, options) : known(name, options)[0]);
const names =
  'resolve resolve4 resolve6 resolveAny resolveCaa resolveCname resolveMx resolveNaptr resolveNs resolvePtr resolveSoa resolveSrv resolveTlsa resolveTxt reverse lookupService setServers getServers'.split(
    ' ',
  );
const orders = {
  setDefaultResultOrder() {},
  getDefaultResultOrder: () => 'verbatim',
  ADDRCONFIG: 1024,
  V4MAPPED: 2048,
  ALL: 256,
  NOTFOUND: 'ENOTFOUND',
};

export const dns = {
  lookup(name, options, callback) {
    if (typeof options === 'function') [options, callback] = [{}, options];
    lookup(name, options).then(
      (found) =>
        setImmediate(() =>
          Array.isArray(found) ? callback(null, found) : callback(null, found.address, found.family),
        ),
      (error) => setImmediate(() => callback(error)),
    );
  },
  ...orders,
  Resolver: absent('dns', 'Resolver', reason),
  promises: { lookup, ...orders, Resolver: absent('dns', 'Resolver', reason) },
};
for (const name of names) {
  dns[name] = absent('dns', name, reason);
  const refuse = dns[name];
  dns.promises[name] = async () => refuse();
}
