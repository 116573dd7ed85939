// The JSON of what __return was given (docs/runtime.md, "What __return gives"): any value that structuredClone takes, and for what JSON
// has not a form of its own.
import { ArrayPush, isArray, isArrayBuffer, isView, keys, stringify } from './primordials.js';
import { cloneWith } from './structured_clone.js';

const {
  isBigIntObject,
  isBooleanObject,
  isDate,
  isMap,
  isNativeError,
  isNumberObject,
  isRegExp,
  isSet,
  isStringObject,
} = native;
const dateToIso = Date.prototype.toISOString;
const dateTime = Date.prototype.getTime;
const regExpToText = RegExp.prototype.toString;
const name = /^[A-Za-z_$][\w$]*$/;

/** @param {any} value @returns {string} throws a DataCloneError for what cannot be cloned */
export function toJson(value) {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null)
    return stringify(value);
  return stringify(plain(cloneWith(value, []), '$', [])) ?? 'null';
}

/**
 * @param {any} value @param {string} path where it stands, as JSONPath
 * @param {{value: any, path: string}[]} above what it stands in
 * @returns {any}
 */
function plain(value, path, above) {
  if (typeof value === 'bigint') return `${value}`;
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null) return value;
  for (let i = 0; i < above.length; i++) if (above[i].value === value) return { $ref: above[i].path };
  if (isDate(value)) return dateTime.call(value) === dateTime.call(value) ? dateToIso.call(value) : null;
  if (isRegExp(value)) return regExpToText.call(value);
  if (isNumberObject(value)) return Number(value);
  if (isStringObject(value)) return `${value}`;
  if (isBooleanObject(value)) return value == true;
  if (isBigIntObject(value)) return `${value}`;
  ArrayPush(above, { value, path });
  const made = inner(value, path, above);
  above.length--;
  return made;
}

/** @param {any} value @param {string} path @param {{value: any, path: string}[]} above */
function inner(value, path, above) {
  if (isArrayBuffer(value)) return numbers(new Uint8Array(value));
  if (isView(value)) return numbers(value);
  const list = [];
  if (isMap(value)) {
    value.forEach((/** @type {any} */ one, /** @type {any} */ key) =>
      ArrayPush(list, [
        plain(key, `${path}[${list.length}][0]`, above),
        plain(one, `${path}[${list.length}][1]`, above),
      ]),
    );
    return list;
  }
  if (isSet(value)) {
    value.forEach((/** @type {any} */ one) => ArrayPush(list, plain(one, `${path}[${list.length}]`, above)));
    return list;
  }
  if (isArray(value)) {
    for (let i = 0; i < value.length; i++) ArrayPush(list, plain(value[i], `${path}[${i}]`, above));
    return list;
  }
  /** @type {any} */
  const object = { __proto__: null };
  if (isNativeError(value)) {
    object.name = `${value.name}`;
    object.message = `${value.message}`;
    if (typeof value.stack === 'string') object.stack = value.stack;
    if (value.cause !== undefined) object.cause = plain(value.cause, `${path}.cause`, above);
  }
  for (const key of keys(value)) {
    if (value[key] === undefined) continue;
    object[key] = plain(value[key], name.exec(key) === null ? `${path}[${stringify(key)}]` : `${path}.${key}`, above);
  }
  return object;
}

/** @param {any} view */
function numbers(view) {
  const bytes = native.isDataView(view) ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : view;
  const list = [];
  for (let i = 0; i < bytes.length; i++) ArrayPush(list, typeof bytes[i] === 'bigint' ? `${bytes[i]}` : bytes[i]);
  return list;
}
