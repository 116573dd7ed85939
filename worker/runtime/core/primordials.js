// What the runtime needs of the language, captured before any guest code runs: a guest may replace
// Array.prototype.push and friends, and must not change what fetch does by it.
const { bind, call, apply } = Function.prototype;
/** @type {(f: Function) => any} Makes a method take its `this` as first argument. */
export const uncurryThis = bind.bind(call);
export const applyTo = uncurryThis(apply);

export const { isArray } = Array;
export const {
  freeze,
  defineProperty,
  defineProperties,
  getOwnPropertyDescriptor,
  getPrototypeOf,
  setPrototypeOf,
  create,
  keys,
} = Object;
export const { ownKeys } = Reflect;
export const hasOwn = Object.hasOwn;
export const { min, max, floor, trunc } = Math;
export const { stringify, parse } = JSON;
export const { fromCharCode } = String;

export const ArrayPush = uncurryThis(Array.prototype.push);
export const ArraySlice = uncurryThis(Array.prototype.slice);
export const ArraySplice = uncurryThis(Array.prototype.splice);
export const ArrayJoin = uncurryThis(Array.prototype.join);
export const ArraySort = uncurryThis(Array.prototype.sort);
export const StringLower = uncurryThis(String.prototype.toLowerCase);
export const StringUpper = uncurryThis(String.prototype.toUpperCase);
export const StringSlice = uncurryThis(String.prototype.slice);
export const StringIndexOf = uncurryThis(String.prototype.indexOf);
export const StringStartsWith = uncurryThis(String.prototype.startsWith);
export const StringCharCodeAt = uncurryThis(String.prototype.charCodeAt);
export const StringToWellFormed = uncurryThis(String.prototype.toWellFormed);
export const RegExpExec = uncurryThis(RegExp.prototype.exec);
export const PromiseThen = uncurryThis(Promise.prototype.then);
export const Uint8Array_ = Uint8Array;
export const Uint8Set = uncurryThis(Uint8Array.prototype.set);

export const MapGet = uncurryThis(Map.prototype.get);
export const MapSet = uncurryThis(Map.prototype.set);
export const MapDelete = uncurryThis(Map.prototype.delete);

const TypedArrayProto = getPrototypeOf(Uint8Array.prototype);
const byteLengthOf = uncurryThis(/** @type {any} */ (getOwnPropertyDescriptor(TypedArrayProto, 'byteLength')).get);
export const byteLength = byteLengthOf;
const bufferByteLength = uncurryThis(
  /** @type {any} */ (getOwnPropertyDescriptor(ArrayBuffer.prototype, 'byteLength')).get,
);
/** The bytes of all of `list`, in one array. @param {Uint8Array[]} list */
export function concatBytes(list) {
  let size = 0;
  for (let i = 0; i < list.length; i++) size += byteLength(list[i]);
  const bytes = new Uint8Array_(size);
  let at = 0;
  for (let i = 0; i < list.length; i++) {
    Uint8Set(bytes, list[i], at);
    at += byteLength(list[i]);
  }
  return bytes;
}
export const isView = ArrayBuffer.isView;
/** Whether `value` is an ArrayBuffer, whatever its prototype. @param {any} value */
export function isArrayBuffer(value) {
  try {
    bufferByteLength(value);
    return true;
  } catch {
    return false;
  }
}
/** Web IDL's BufferSource: bytes that no other thread may change. @param {any} value */
export const isBufferSource = (value) => isArrayBuffer(isView(value) ? value.buffer : value);

/** A promise with its two ends. @returns {{promise: Promise<any>, resolve: Function, reject: Function}} */
export const withResolvers = Promise.withResolvers.bind(Promise);

/** Whether every unit is below 256. @param {string} text */
export function isLatin1(text) {
  for (let i = 0; i < text.length; i++) if (StringCharCodeAt(text, i) > 255) return false;
  return true;
}

/** Makes properties of a class, and of its prototype, enumerable and tags it, as Web IDL wants. @param {any} C @param {string[]} names @param {string[]} statics */
export function webidlClass(C, names, statics = /** @type {string[]} */ ([])) {
  for (let i = 0; i < names.length; i++) defineProperty(C.prototype, names[i], { enumerable: true });
  for (let i = 0; i < statics.length; i++) defineProperty(C, statics[i], { enumerable: true });
  defineProperty(C.prototype, Symbol.toStringTag, { value: C.name, configurable: true });
}

/** Web IDL's USVString. @param {any} value */
export function toUSVString(value) {
  return StringToWellFormed(`${value}`);
}
