// What there is: of each global, the members of it and of its prototype; of each of Node's modules, its exports. Run by Node and by a
// guest; tests/support/runtime_doc.py compares them.
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const names = (object) => (object === null || object === undefined ? [] : Object.getOwnPropertyNames(object).filter((name) => !/^_/.test(name)));
const usual = ['constructor', 'length', 'name', 'prototype', 'arguments', 'caller', 'toString'];
const absentMark = Symbol.for('postern.absent');

const globals = {};
for (const name of names(globalThis).sort()) {
  let value;
  try {
    value = globalThis[name];
  } catch {
    continue;
  }
  const isObject = (typeof value === 'object' || typeof value === 'function') && value !== null && value !== globalThis;
  const own = isObject ? names(value) : [];
  const inherited = isObject && typeof value === 'object' ? names(Object.getPrototypeOf(value)).filter((n) => Object.getPrototypeOf(value) !== Object.prototype) : [];
  const proto = isObject && typeof value === 'function' ? names(value.prototype).map((n) => `prototype.${n}`) : [];
  globals[name] = [...new Set([...own, ...inherited, ...proto])].filter((n) => !usual.includes(n.replace('prototype.', ''))).sort();
}

const modules = {};
for (const name of JSON.parse(process.env.MODULES)) {
  let exports;
  try {
    exports = require(`node:${name}`);
  } catch (error) {
    modules[name] = null;
    continue;
  }
  const keys = names(exports).filter((n) => !usual.includes(n)).sort();
  const absent = keys.filter((key) => {
    try {
      return typeof exports[key] === 'function' && exports[key][absentMark] !== undefined;
    } catch {
      return false;
    }
  });
  const functions = keys.filter((key) => {
    try {
      return typeof exports[key] === 'function';
    } catch {
      return false;
    }
  });
  modules[name] = { keys, functions, absent, reason: absent.length > 0 ? exports[absent[0]][absentMark] : '' };
}
console.log(JSON.stringify({ globals, modules }));
