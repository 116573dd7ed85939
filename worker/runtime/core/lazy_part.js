// Parts of the runtime that a guest loads when it first needs them: parts/*.js, which build.mjs bundles with their packages.
// What they have of the runtime itself is given by main.js, with shareModules.
import { defineProperty } from './primordials.js';

/** @type {Record<string, any>} */
const loaded = { __proto__: null };
/** @type {any} */
let runtime;
export function shareModules(/** @type {any} */ modules) {
  runtime = modules;
}

/** The exports of parts/NAME.js. @param {string} name */
export function part(name) {
  return (loaded[name] ??= native.part(name, 'native', 'runtime')(native, runtime));
}

/** A property of the global object that is made when it is first asked for. @param {string} name @param {() => any} make */
export function lazyGlobal(name, make) {
  const define = (/** @type {any} */ value) =>
    defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  defineProperty(globalThis, name, {
    configurable: true,
    enumerable: false,
    get() {
      const value = make();
      define(value);
      return value;
    },
    set: define,
  });
}
