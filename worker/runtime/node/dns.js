// node:dns: names are looked up by the broker, where the policy lets the guest ask their host for something, and it tells those addresses
// that the guest could be connected to. What is an address already, and localhost, is known here.
import { codedError } from '../coded_error.js';
import { errorOf, openExchange, readPiece } from '../net.js';
import { setImmediate } from '../timers.js';
import { absent, refusal } from './absent.js';
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

/** @param {any} name @param {any} options */
async function lookup(name, options = {}) {
  if (typeof name !== 'string' && name)
    throw codedError('ERR_INVALID_ARG_TYPE', 'The "hostname" argument must be of type string', TypeError);
  const given = typeof options === 'number' ? { family: options } : (options ?? {});
  const family = Number(`${given.family ?? 0}`.replace('IPv', ''));
  if (![0, 4, 6].includes(family))
    throw Object.assign(
      new TypeError(`The property 'options.family' must be one of: 0, 4, 6. Received ${given.family}`),
      {
        code: 'ERR_INVALID_ARG_VALUE',
      },
    );
  if (!name) return given.all ? [] : { address: null, family: family === 6 ? 6 : 4 };
  let found = (await addressesOf(name, 'getaddrinfo')).filter((one) => family === 0 || one.family === family);
  if (found.length === 0) throw failed('ENOTFOUND', 'getaddrinfo', name);
  const first = given.order === 'ipv6first' ? 6 : given.order === 'ipv4first' ? 4 : 0;
  if (first !== 0)
    found = [...found.filter((one) => one.family === first), ...found.filter((one) => one.family !== first)];
  return given.all ? found : found[0];
}

/** @param {4 | 6} family @param {string} syscall */
const resolver = (family, syscall) => async (/** @type {any} */ name, /** @type {any} */ options) => {
  const found = (await addressesOf(`${name}`, syscall)).filter((one) => one.family === family);
  if (found.length === 0) throw failed('ENODATA', syscall, name);
  return found.map(({ address }) => (options?.ttl ? { address, ttl: 0 } : address));
};
const resolve4 = resolver(4, 'queryA');
const resolve6 = resolver(6, 'queryAaaa');
const resolve = async (/** @type {any} */ name, /** @type {any} */ type = 'A') => {
  if (type === 'A') return resolve4(name, undefined);
  if (type === 'AAAA') return resolve6(name, undefined);
  throw refusal('dns', `resolve of ${type}`, reason);
};

/** With a callback in the last place. @param {Function} work @param {(callback: Function, value: any) => void} [give] */
const withCallback =
  (work, give = (callback, value) => callback(null, value)) =>
  (/** @type {any[]} */ ...args) => {
    const callback = args.pop();
    if (typeof callback !== 'function')
      throw codedError('ERR_INVALID_ARG_TYPE', 'The "callback" argument must be of type function', TypeError);
    work(...args).then(
      (/** @type {any} */ value) => setImmediate(() => give(callback, value)),
      (/** @type {any} */ error) => setImmediate(() => callback(error)),
    );
  };

const none = Object.fromEntries(
  'resolveAny resolveCaa resolveCname resolveMx resolveNaptr resolveNs resolvePtr resolveSoa resolveSrv resolveTlsa resolveTxt reverse lookupService setServers getServers Resolver'
    .split(' ')
    .map((name) => [name, absent('dns', name, reason)]),
);
const common = {
  ...errors,
  ADDRCONFIG: 1024,
  V4MAPPED: 2048,
  ALL: 256,
  setDefaultResultOrder() {},
  getDefaultResultOrder: () => 'verbatim',
};

export const dns = {
  ...common,
  ...none,
  lookup: withCallback(lookup, (callback, found) =>
    Array.isArray(found) ? callback(null, found) : callback(null, found.address, found.family),
  ),
  resolve: withCallback(resolve),
  resolve4: withCallback(resolve4),
  resolve6: withCallback(resolve6),
  promises: { ...common, ...none, lookup, resolve, resolve4, resolve6 },
};
