// The network below fetch, sockets and WebSocket: exchanges on the channel to the net broker. Every one of them
// settles: the broker and the channel's C++ side each have a last word.
import { fetchCodes } from 'failure-codes';
import { MapDelete, MapGet, MapSet, withResolvers } from '../core/primordials.js';
import { ReadableStream, nextChunk } from '../web/streams.js';

const { netFetch, netWrite, netEndWrite, netRead, netCollect, netCancel, netRef } = native;

/** @typedef {{code: string, message: string, error: string}} Failure */
/**
 * One exchange on the channel.
 * @typedef {{id: number, settle: Function, readable: Function | null, collected: Function | null, writable: Function | null,
 *   failed: ((error: any) => void) | null, failure: any, what: string, received: boolean, over: Function | null,
 *   informed: ((outcome: any) => void) | null, trailers: string[] | null}} Exchange
 */
/** @type {Map<number, Exchange>} */
const exchanges = new Map();
let nextId = 1;

/** @param {Failure} failure @param {string} [what] */
export function netError(failure, what = 'fetch') {
  const cause = /** @type {any} */ (new Error(failure.message));
  cause.code = (what === 'fetch' ? fetchCodes[failure.code] : undefined) ?? failure.code;
  cause.posternCode = failure.code;
  return new TypeError(`${what} failed: ${failure.message}`, { cause });
}

/**
 * Begins an exchange: `flat` has names and values in turn; `body` is null, bytes, or true where netWrite follows.
 * @param {string[]} flat @param {Uint8Array | null | true} body @param {string} [what] is begun, in errors
 * @param {boolean} [raw] a request whose response is not decoded
 * @param {boolean} [endless] one that has no end of its own
 * @returns {{e: Exchange, promise: Promise<any>}} the promise gives {status, statusText, fields, connection, upgraded} or {failure}
 */
export function openExchange(flat, body, what = 'fetch', raw = false, endless = what !== 'fetch' && !raw) {
  const { promise, resolve } = withResolvers();
  const e = newExchange(nextId++, resolve, what, false);
  netFetch(e.id, flat, body === null ? undefined : body, endless, raw);
  return { e, promise };
}

/**
 * @param {number} id @param {Function} settle @param {string} what
 * @param {boolean} received is a request that came to this guest @returns {Exchange}
 */
function newExchange(id, settle, what, received) {
  const e = {
    id,
    settle,
    readable: null,
    collected: null,
    writable: null,
    failed: null,
    failure: null,
    what,
    received,
    over: null, // called once it is: nothing can abort it any more
    informed: null, // called with what comes before the response
    trailers: null, // what followed the body, where the client sees the wire
  };
  MapSet(exchanges, id, e);
  return e;
}

/** The exchange of a request that came to this guest. @param {number} id */
export const acceptExchange = (id) => newExchange(id, () => {}, 'the request', true);

/** With the end of a response an exchange is over; with that of a request it is not. @param {Exchange} e */
function bodyRead(e) {
  if (!e.received) forget(e);
}

/** @param {Exchange} e */
function forget(e) {
  MapDelete(exchanges, e.id);
  const { over } = e;
  e.over = null;
  over?.();
}

/** Its response has left, and nothing more is to be told of it. @param {Exchange} e */
export function finishExchange(e) {
  forget(e);
  e.failure ??= { reason: new TypeError('The request was answered already') };
}

/** Whether the run goes on for its sake. @param {Exchange} e @param {boolean} ref */
export const refExchange = (e, ref) => netRef(e.id, ref);

/** Lets go of an exchange that needs no more. @param {Exchange} e */
export function dropExchange(e) {
  forget(e);
  netCancel(e.id);
}

/** The next piece of the body; undefined at its end. Throws how it failed. @param {Exchange} e */
export async function readPiece(e) {
  for (;;) {
    if (e.failure) throw errorOf(e);
    const piece = netRead(e.id);
    if (piece === undefined) bodyRead(e);
    if (piece !== null) return piece;
    const { promise, resolve } = withResolvers();
    e.readable = resolve;
    await promise;
    e.readable = null;
  }
}

/** Writes bytes and waits where too many wait already; with `all`, until none does. @param {Exchange} e @param {Uint8Array} bytes @param {boolean} [all] */
export async function writePiece(e, bytes, all) {
  if (e.failure) throw errorOf(e);
  if (netWrite(e.id, bytes, all === true) > 0) {
    const { promise, resolve } = withResolvers();
    e.writable = resolve;
    await promise;
    e.writable = null;
  }
  if (e.failure) throw errorOf(e);
}

// ---- called by the channel's C++ side

export function netResponse(
  /** @type {number} */ id,
  /** @type {number} */ status,
  /** @type {string} */ statusText,
  /** @type {string[]} */ fields,
  /** @type {string} */ connection,
  /** @type {boolean} */ upgraded,
) {
  const e = MapGet(exchanges, id);
  const outcome = { __proto__: null, status, statusText, fields, connection, upgraded };
  if (status >= 200) e?.settle(outcome);
  else e?.informed?.(outcome);
}
export function netTrailers(/** @type {number} */ id, /** @type {string[]} */ fields) {
  const e = MapGet(exchanges, id);
  if (e !== undefined) e.trailers = fields;
}
export function netReadable(/** @type {number} */ id) {
  MapGet(exchanges, id)?.readable?.();
}
export function netCollected(/** @type {number} */ id, /** @type {Uint8Array} */ bytes) {
  const e = MapGet(exchanges, id);
  if (e === undefined) return;
  bodyRead(e);
  e.collected?.(bytes);
}
export function netWritable(/** @type {number} */ id) {
  MapGet(exchanges, id)?.writable?.();
}
export function netFailure(
  /** @type {number} */ id,
  /** @type {string} */ code,
  /** @type {string} */ message,
  /** @type {string} */ error,
) {
  const e = MapGet(exchanges, id);
  if (e === undefined) return;
  fail(e, { code, message, error });
}

/** @param {Exchange} e @param {any} failure a Failure, or {reason} of an abort */
function fail(e, failure) {
  forget(e);
  e.failure = failure;
  e.settle({ __proto__: null, failure });
  e.failed?.(errorOf(e));
  e.readable?.();
  e.writable?.();
}
/** @param {any} failure */
const errorFrom = (failure, what) => ('reason' in failure ? failure.reason : netError(failure, what));
/** How a failed exchange failed. @param {Exchange} e */
export const errorOf = (e) => errorFrom(e.failure, e.what);

/** @param {Exchange} e @param {any} reason */
export function abortExchange(e, reason) {
  if (MapGet(exchanges, e.id) !== e) return;
  netCancel(e.id);
  fail(e, { reason });
}

// A response that is dropped unread must not hold its stream for ever.
/** @type {FinalizationRegistry<Exchange> | undefined} */
let unread;

/** The body of a response, still on the channel. */
export class NetBody {
  #exchange;
  /** @param {Exchange} exchange @param {boolean} [coded] */
  constructor(exchange, coded = false) {
    this.#exchange = exchange;
    if (coded) decodedStreams.add(this);
    unread ??= new FinalizationRegistry((e) => abortExchange(e, new TypeError('The response was dropped')));
    unread.register(this, exchange, this);
  }
  /** All of it, in an object that inherits nothing (streams.js, nextChunk). @returns {Promise<{bytes: Uint8Array}>} */
  async collect() {
    const e = this.#exchange;
    if (unread !== undefined) unread.unregister(this);
    if (e.failure) throw errorOf(e);
    const { promise, resolve } = withResolvers();
    e.collected = (/** @type {Uint8Array} */ bytes) => resolve({ __proto__: null, bytes });
    e.failed = () => resolve({ __proto__: null });
    netCollect(e.id);
    const collected = await promise;
    if (collected.bytes === undefined) throw errorOf(e);
    return collected;
  }
  stream() {
    const e = this.#exchange;
    if (unread !== undefined) unread.unregister(this);
    const stream = new ReadableStream(
      {
        type: 'bytes',
        start(controller) {
          if (e.failure) controller.error(errorOf(e));
          e.failed = (error) => {
            try {
              controller.error(error);
            } catch {
              /* closed already */
            }
          };
        },
        async pull(controller) {
          const piece = await readPiece(e);
          if (piece !== undefined) return controller.enqueue(piece);
          controller.close();
          /** @type {any} */ (controller).byobRequest?.respond(0);
        },
        cancel: () => dropExchange(e),
      },
      { highWaterMark: 0 },
    );
    if (isDecoded(this)) decodedStreams.add(stream);
    return stream;
  }
}

/** Streams of bodies that came coded, and are decoded by now. */
const decodedStreams = new WeakSet();
/** Whether what fetch gave as a body was coded. @param {any} body a NetBody or its stream */
export const isDecoded = (body) => decodedStreams.has(body);

/** Writes a stream as the body that goes; gives an error where that failed. @param {Exchange} e @param {any} stream */
export async function upload(e, stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await nextChunk(reader);
      if (e.failure || MapGet(exchanges, e.id) !== e) {
        await reader.cancel(e.failure ? errorOf(e) : undefined);
        return;
      }
      if (done) return netEndWrite(e.id);
      if (!(value instanceof Uint8Array)) throw new TypeError('A body stream must give Uint8Array chunks');
      await writePiece(e, value);
    }
  } catch (error) {
    reader.cancel(error).catch(() => {});
    abortExchange(e, error);
    return error;
  }
}
