// structuredClone (HTML 2.7). V8 clones what the language has; what the runtime has registers itself here, by its prototype.
import { MapGet, MapSet, defineProperty, getPrototypeOf, isArrayBuffer } from './primordials.js';
import { DOMException, isDOMException } from './dom_exception.js';

const { clone } = native;

/**
 * How objects of the runtime's own kinds are cloned and transferred; what has neither is refused.
 * @typedef {{is: (value: any) => boolean, clone?: (value: any) => any, transfer?: (value: any) => any}} Kind
 */
/** By prototype. @type {Map<any, Kind>} */
const kinds = new Map();
/** @param {any} C a class @param {Kind} kind `clone` makes another object, `transfer` one that takes this one's place */
export function registerClone(C, kind) {
  MapSet(kinds, C.prototype, kind);
}
/** Objects of a class that can neither be cloned nor transferred. @param {any} C */
export function refuseClone(C) {
  if (MapGet(kinds, C.prototype) === undefined) registerClone(C, { is: () => true });
}
registerClone(DOMException, {
  is: isDOMException,
  clone(error) {
    const copy = new DOMException(error.message, error.name);
    defineProperty(copy, 'stack', { value: error.stack, writable: true, configurable: true });
    return copy;
  },
});

/** For the zygote, once: V8 is told which objects it is not to clone as plain ones. */
export function markKinds() {
  for (const proto of kinds.keys()) native.markPlatform(proto);
}

/** @param {any} value @returns {Kind | undefined} */
function kindOf(value) {
  for (let proto = getPrototypeOf(value); proto !== null; proto = getPrototypeOf(proto)) {
    const kind = MapGet(kinds, proto);
    if (kind !== undefined && kind.is(value)) return kind;
  }
  return undefined;
}

/** @param {any} value */
function refuse(value) {
  const name = getPrototypeOf(value)?.constructor?.name;
  return new DOMException(
    `${typeof name === 'string' ? name : 'object'} object could not be cloned.`,
    'DataCloneError',
  );
}

/** @param {any} value @param {any[]} transfer */
export function cloneWith(value, transfer) {
  const buffers = [];
  const moved = new Set();
  for (let i = 0; i < transfer.length; i++) {
    const item = transfer[i];
    if (moved.has(item) || buffers.includes(item))
      throw new DOMException('An object can be transferred once only', 'DataCloneError');
    if (isArrayBuffer(item)) {
      if (item.detached) throw new DOMException('A detached ArrayBuffer cannot be transferred', 'DataCloneError');
      buffers.push(item);
    } else if (typeof item === 'object' && item !== null && kindOf(item)?.transfer !== undefined) moved.add(item);
    else throw new DOMException('Only ArrayBuffers, MessagePorts and streams can be transferred', 'DataCloneError');
  }
  const host = (/** @type {any} */ object, /** @type {boolean} */ transfer) => {
    const kind = kindOf(object);
    if (transfer) {
      moved.delete(object);
      return kind?.transfer?.(object);
    }
    if (moved.has(object)) return object;
    if (kind?.clone === undefined) throw refuse(object);
    return kind.clone(object);
  };
  let failed;
  try {
    const result = clone(value, buffers, host);
    // What is transferred and stands nowhere in the value leaves all the same.
    for (const object of moved) kindOf(object)?.transfer?.(object);
    return result;
  } catch (error) {
    failed = error;
  }
  // V8's own words come as a plain Error; what a getter of the guest threw passes through.
  if (
    failed instanceof Error &&
    getPrototypeOf(failed) === Error.prototype &&
    /could not be cloned|DataClone/.test(failed.message)
  ) {
    throw new DOMException(failed.message, 'DataCloneError');
  }
  throw failed;
}

/** @param {any} value @param {any} [options] */
export function structuredClone(value, options) {
  if (arguments.length === 0) throw new TypeError('structuredClone needs a value');
  return cloneWith(value, [...(options?.transfer ?? [])]);
}
