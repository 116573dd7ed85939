// node:dns: names are looked up by the broker, where the policy lets the guest ask their host for something, and it tells those addresses
// that the guest could be connected to. What is an address already, and localhost, is known here.
import { codedError } from '../core/coded_error.js';
import { errorOf, openExchange, readPiece } from '../fetch/exchange.js';
import { setImmediate } from '../core/timers.js';
import { absent, refusal } from './absent.js';
import { load } from './loader.js';
import { net, nodeError } from './net.js';

const reason = 'the broker looks up addresses only';
/** Codes of c-ares, as Node's. */
const errors = Object.fromEntries(
  `NODATA FORMERR SERVFAIL NOTFOUND NOTIMP REFUSED BADQUERY BADNAME BADFAMILY BADRESP CONNREFUSED TIMEOUT EOF FILE NOMEM DESTRUCTION
  BADSTR BADFLAGS NONAME BADHINTS NOTINITIALIZED LOADIPHLPAPI ADDRGETNETWORKPARAMS CANCELLED`
    .split(/\s+/)
    .map((name) => [name, `E${name}`]),
);

/** @param {string} code @param {string} syscall @param {string} name @param {any} [cause] */
const failed = (code, syscall, name, cause) =>
  Object.assign(new Error(`${syscall} ${code} ${name}${cause === undefined ? '' : `: ${cause.message}`}`, { cause }), {
    code,
    errno: code === 'ENOTFOUND' ? -3008 : undefined,
    syscall,
    hostname: name,
  });

/** Every address of a name. @param {string} name @param {string} syscall @returns {Promise<{address: string, family: number}[]>} */
async function addressesOf(name, syscall) {
  const kind = net.isIP(name);
  if (kind !== 0) return [{ address: name, family: kind }];
  if (/^(?:.+\.)?localhost\.?$/i.test(name)) return [{ address: '127.0.0.1', family: 4 }];
  if (name === '' || /[^\x21-\x7e]|[/?#@:]/.test(name)) throw failed('ENOTFOUND', syscall, name);
  const { e, promise } = openExchange(
    [':method', 'GET', ':scheme', 'dns', ':authority', name, ':path', '/'],
    null,
    'fetch',
    true,
  );
  let text = '';
  try {
    const outcome = await promise;
    if (outcome.failure) throw errorOf(e);
    for (let piece = await readPiece(e); piece !== undefined; piece = await readPiece(e))
      text += String.fromCharCode(...piece);
  } catch (error) {
    const { code, cause } = nodeError(error);
    throw failed(code ?? 'EAI_FAIL', syscall, name, cause ?? error);
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((address) => ({ address, family: net.isIP(address) }));
}

const orders = ['ipv4first', 'ipv6first', 'verbatim'];
let usualOrder = 'verbatim';
const ADDRCONFIG = 32,
  V4MAPPED = 8,
  ALL = 16;

/** What dns.lookup is asked, checked. @param {any} name @param {any} options */
function asked(name, options) {
  const { validateOneOf, validateString, validateNumber } = load('internal/validators');
  const { codes } = load('internal/errors');
  if (!name) throw new codes.ERR_INVALID_ARG_VALUE('hostname', name, 'must be a non-empty string');
  validateString(name, 'hostname');
  const {
    family = 0,
    hints = 0,
    all = false,
    order = usualOrder,
  } = typeof options === 'object' && options !== null ? options : { family: options };
  validateOneOf(family, 'options.family', [0, 4, 6, 'IPv4', 'IPv6', undefined]);
  validateNumber(hints, 'options.hints');
  if ((hints & ~(ADDRCONFIG | V4MAPPED | ALL)) !== 0) throw new codes.ERR_INVALID_ARG_VALUE('hints', hints);
  validateOneOf(order, 'options.order', orders);
  return { name, family: Number(`${family}`.replace('IPv', '')), all, order };
}
/** @param {{name: string, family: number, all: boolean, order: string}} question */
async function answer({ name, family, all, order }) {
  const known = net.isIP(name);
  let found = known
    ? [{ address: name, family: known }]
    : (await addressesOf(name, 'getaddrinfo')).filter((one) => family === 0 || one.family === family);
  if (found.length === 0) throw failed('ENOTFOUND', 'getaddrinfo', name);
  const first = order === 'ipv6first' ? 6 : order === 'ipv4first' ? 4 : 0;
  if (first !== 0)
    found = [...found.filter((one) => one.family === first), ...found.filter((one) => one.family !== first)];
  return all ? found : found[0];
}
/** @param {any} name @param {any} [options] */
const lookup = async (name, options) => answer(asked(name, options));

/** @param {4 | 6} family @param {string} syscall */
const resolver = (family, syscall) => async (/** @type {any} */ name, /** @type {any} */ options) => {
  const found = (await addressesOf(name, syscall)).filter((one) => one.family === family);
  if (found.length === 0) throw failed('ENODATA', syscall, name);
  return found.map(({ address }) => (options?.ttl ? { address, ttl: 0 } : address));
};
const kinds = ['A', 'AAAA', 'ANY', 'CAA', 'CNAME', 'MX', 'NAPTR', 'NS', 'PTR', 'SOA', 'SRV', 'TLSA', 'TXT'];
/** What is asked for a name, checked. @param {any} name @param {any} [kind] */
function checkName(name, kind) {
  const { validateOneOf, validateString } = load('internal/validators');
  validateString(name, 'name');
  if (typeof kind === 'string') validateOneOf(kind, 'rrtype', kinds);
}
const resolve4 = resolver(4, 'queryA');
const resolve6 = resolver(6, 'queryAaaa');
const resolve = async (/** @type {any} */ name, /** @type {any} */ kind = 'A') => {
  if (kind === 'A') return resolve4(name, undefined);
  if (kind === 'AAAA') return resolve6(name, undefined);
  throw refusal('dns', `resolve of ${kind}`, reason);
};
/** Its arguments are checked before anything is awaited. @param {Function} work */
const checked =
  (work) =>
  async (/** @type {any[]} */ ...args) => {
    checkName(args[0], args[1]);
    return work(...args);
  };

/**
 * With a callback in the last place.
 * @param {(...args: any[]) => any} check gives what `work` gets, or throws at once @param {Function} work
 * @param {(callback: Function, value: any) => void} [give]
 */
const withCallback =
  (check, work, give = (callback, value) => callback(null, value)) =>
  (/** @type {any[]} */ ...args) => {
    const callback = args.pop();
    if (typeof callback !== 'function')
      throw codedError('ERR_INVALID_ARG_TYPE', 'The "callback" argument must be of type function', TypeError);
    work(...check(...args)).then(
      (/** @type {any} */ value) => setImmediate(() => give(callback, value)),
      (/** @type {any} */ error) => setImmediate(() => callback(error)),
    );
  };
/** @param {any[]} args */
const named = (...args) => {
  checkName(args[0], args[1]);
  return args;
};

const others =
  'resolveAny resolveCaa resolveCname resolveMx resolveNaptr resolveNs resolvePtr resolveSoa resolveSrv resolveTlsa resolveTxt reverse lookupService'.split(
    ' ',
  );
/** What nothing is looked up for: an error where an answer would be, not at the call. @param {(name: string) => Function} make */
const none = (make) =>
  Object.fromEntries(
    others.map((name) => [name, Object.defineProperty(make(name), Symbol.for('postern.absent'), { value: reason })]),
  );
const rejects = none((name) => async () => {
  throw refusal('dns', name, reason);
});
const callsBack = none((name) => (/** @type {any[]} */ ...args) => {
  const callback = args.at(-1);
  if (typeof callback !== 'function') throw refusal('dns', name, reason);
  setImmediate(() => callback(refusal('dns', name, reason)));
});
const setServers = absent('dns', 'setServers', 'the policy says whom the broker asks (network.dns)');

const common = {
  ...errors,
  ADDRCONFIG,
  V4MAPPED,
  ALL,
  setDefaultResultOrder(/** @type {any} */ order) {
    load('internal/validators').validateOneOf(order, 'dnsOrder', orders);
    usualOrder = order;
  },
  getDefaultResultOrder: () => usualOrder,
  /** Who is asked is the broker's business. */
  getServers: () => [],
  setServers,
};
const asking = {
  resolve: withCallback(named, resolve),
  resolve4: withCallback(named, resolve4),
  resolve6: withCallback(named, resolve6),
  ...callsBack,
};
const promising = { resolve: checked(resolve), resolve4: checked(resolve4), resolve6: checked(resolve6), ...rejects };

/** A class with these methods. @param {Record<string, Function>} methods */
function resolverClass(methods) {
  class Resolver {
    getServers() {
      return [];
    }
    setServers() {
      setServers();
    }
    /** Addresses to ask from: the broker has its own. */
    setLocalAddress() {}
    /** What was asked is answered all the same: nothing is held for it. */
    cancel() {}
  }
  for (const [name, value] of Object.entries(methods))
    Object.defineProperty(Resolver.prototype, name, { value, writable: true, configurable: true });
  return Resolver;
}

export const dns = {
  ...common,
  ...asking,
  Resolver: resolverClass(asking),
  lookup: withCallback(
    (name, options) => [asked(name, options)],
    answer,
    (callback, found) => (Array.isArray(found) ? callback(null, found) : callback(null, found.address, found.family)),
  ),
  promises: { ...common, ...promising, Resolver: resolverClass(promising), lookup },
};
Object.defineProperty(dns.lookup, Symbol.for('nodejs.util.promisify.custom'), { value: lookup });
