// `postern serve --handler`: the module's default export answers requests: `fetch(request, env, ctx)`, as in other
// runtimes. Requests come on a channel from the supervisor; each is answered, if only with status 500.
import { ArrayPush } from './core/primordials.js';
import { signalAbort } from './core/abort.js';
import { isUnusable, netBody, streamOf } from './fetch/body.js';
import { connectionHeaders, headerList, wrapHeaders } from './fetch/headers.js';
import { inspect } from './core/inspect.js';
import { NetBody, acceptExchange, finishExchange, isDecoded, upload } from './fetch/exchange.js';
import { process } from './node/process.js';
import { makeRequest, requestSignal } from './fetch/request.js';
import { isResponse, responseState } from './fetch/response.js';

const { handlerRespond, write } = native;

/** The module's default export. @type {any} */
let handler;
/** Promises given to waitUntil that have not settled. */
let waits = 0;

/** @param {any} namespace of the module */
export function handlerStart(namespace) {
  handler = namespace.default;
  if ((typeof handler !== 'object' && typeof handler !== 'function') || handler === null)
    throw new TypeError('a handler needs a default export, as in: export default { fetch(request) { … } }');
  if (typeof handler.fetch !== 'function') throw new TypeError("the handler's default export has no method fetch");
}

export const handlerWaits = () => waits > 0;

/** Whether the client went away: what breaks off with it is no error of the handler's. @param {import('./fetch/exchange.js').Exchange} e */
const isGone = (e) => e.failure !== null && !('reason' in e.failure);

/** @param {any} error @param {boolean} [briefly] in one line */
function report(error, briefly) {
  let text;
  try {
    text = inspect(error);
  } catch {
    text = 'an error that cannot be shown';
  }
  if (briefly) text = text.split('\n', 1)[0];
  write(2, `Uncaught (in fetch) ${text}\n`);
}

/** What a handler gets besides the request. */
class ExecutionContext {
  #remote;
  #exchange;
  /** @param {string} remote @param {import('./fetch/exchange.js').Exchange} e */
  constructor(remote, e) {
    this.#remote = remote;
    this.#exchange = e;
  }
  /** The client's address, as in "192.0.2.1:4711"; empty where it has none. */
  get remoteAddress() {
    return this.#remote;
  }
  /** Keeps the guest until `promise` has settled, also when it is replaced meanwhile. @param {any} promise */
  waitUntil(promise) {
    waits++;
    settle(promise, this.#exchange);
  }
  passThroughOnException() {}
}

/** @param {any} promise @param {import('./fetch/exchange.js').Exchange} e */
async function settle(promise, e) {
  try {
    await promise;
  } catch (error) {
    report(error, isGone(e)); // whoever comes and goes must not fill the log
  }
  waits--;
}

/**
 * A request is there.
 * @param {number} id @param {string[]} flat its fields: names and values in turn, the pseudo fields first @param {boolean} hasBody
 */
export function handlerRequest(id, flat, hasBody) {
  let method = '',
    authority = '',
    path = '',
    remote = '';
  /** @type {[string, string][]} */
  const list = [];
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i],
      value = flat[i + 1];
    if (name === ':method') method = value;
    else if (name === ':authority') authority = value;
    else if (name === ':path') path = value;
    else if (name === 'postern-remote') remote = value;
    else if (name !== ':scheme') ArrayPush(list, [name, value]);
  }
  const e = acceptExchange(id);
  const request = makeRequest(
    `http://${authority}${path}`,
    method,
    wrapHeaders(list, true),
    hasBody ? netBody(new NetBody(e)) : null,
  );
  e.failed = (/** @type {any} */ reason) => signalAbort(requestSignal(request), reason);
  answer(e, request, method, new ExecutionContext(remote, e));
}

/** @param {import('./fetch/exchange.js').Exchange} e @param {any} request @param {string} method @param {ExecutionContext} context */
async function answer(e, request, method, context) {
  try {
    const response = await handler.fetch(request, process.env, context);
    if (e.failure === null) respond(e, response, method);
  } catch (error) {
    if (isGone(e)) return;
    report(error);
    if (e.failure !== null) return;
    handlerRespond(e.id, [':status', '500', 'content-length', '0'], undefined);
    finishExchange(e);
  }
}

/** @param {import('./fetch/exchange.js').Exchange} e @param {any} response @param {string} method */
function respond(e, response, method) {
  if (!isResponse(response)) throw new TypeError(`the handler's fetch gave ${kindOf(response)}, not a Response`);
  const { status, headers, body } = responseState(response);
  if (status === 0) throw new TypeError("the handler's fetch gave Response.error()");
  if (body !== null && isUnusable(body)) throw new TypeError('the body of the response was read already');
  const flat = [':status', `${status}`];
  const list = headerList(headers);
  const whole = body !== null && body.bytes !== null;
  // What fetch has decoded goes on decoded.
  const decoded = body !== null && isDecoded(body.net ?? body.stream);
  // Its length is ours to say where there is no body (RFC 9112 section 6.3, RFC 9110 section 15).
  const bodiless = status === 204 || status === 205 || status === 304;
  const ownLength = whole || bodiless || (body === null && method !== 'HEAD');
  for (let i = 0; i < list.length; i++) {
    const name = list[i][0];
    if (connectionHeaders.has(name)) continue;
    if (decoded && (name === 'content-encoding' || name === 'content-length')) continue;
    if (ownLength && name === 'content-length') continue;
    ArrayPush(flat, name, list[i][1]);
  }
  if (whole) ArrayPush(flat, 'content-length', `${body.bytes.length}`);
  if (body !== null) body.used = true;
  if (body === null || method === 'HEAD') {
    if (body === null && status !== 204 && status !== 304 && method !== 'HEAD') ArrayPush(flat, 'content-length', '0');
    if (body !== null && !whole)
      streamOf(body)
        .cancel()
        .catch(() => {});
    handlerRespond(e.id, flat, undefined);
    finishExchange(e);
  } else if (whole) {
    handlerRespond(e.id, flat, body.bytes);
    finishExchange(e);
  } else {
    handlerRespond(e.id, flat, true);
    send(e, streamOf(body));
  }
}

/** @param {import('./fetch/exchange.js').Exchange} e @param {any} stream */
async function send(e, stream) {
  const error = await upload(e, stream);
  if (error !== undefined && !isGone(e)) report(error);
  finishExchange(e);
}

/** @param {any} value */
function kindOf(value) {
  if (value === null || value === undefined) return `${value}`;
  if (typeof value !== 'object' && typeof value !== 'function') return `a ${typeof value}`;
  try {
    return `a ${value.constructor.name}`;
  } catch {
    return 'an object';
  }
}
