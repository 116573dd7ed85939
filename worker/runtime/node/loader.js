// Node's own JavaScript: lib/ of the Node.js whose V8 this is (build.mjs takes it out of the executable), run with bindings and
// replacements of ours. What touches an operating system is ours (fs.js, net.js, …); what is language only is Node's.
import { process } from '../process.js';
import { bindings } from './bindings.js';

/** Modules of ours in the place of Node's, by id: each makes its exports. @type {Record<string, () => any>} */
const replaced = { __proto__: null };
/** @param {Record<string, () => any>} modules */
export function replace(modules) {
  for (const id of Object.keys(modules)) replaced[id] = modules[id];
}

/** @type {any} */
let primordials;
function makePrimordials() {
  primordials = {};
  const symbols = new Proxy({}, { get: (target, name) => (target[name] ??= Symbol(String(name))) });
  native.part(
    'node/internal/per_context/primordials',
    'exports',
    'primordials',
    'privateSymbols',
    'perIsolateSymbols',
  )({}, primordials, symbols, symbols);
}

/** @param {string} name */
function internalBinding(name) {
  const make = bindings[name];
  if (make === undefined) throw new Error(`Node's binding "${name}" is not in a guest`);
  return (made[name] ??= make(load));
}
/** @type {Record<string, any>} */
const made = { __proto__: null };

/** @type {Record<string, any>} */
const modules = { __proto__: null };
/** The exports of a module of Node's by its id, as "internal/util" or "stream". @param {string} id */
export function load(id) {
  const known = modules[id];
  if (known !== undefined) return known.exports;
  if (primordials === undefined) makePrimordials();
  const module = (modules[id] = { exports: {}, id, loaded: false });
  if (replaced[id] !== undefined) {
    module.exports = replaced[id]();
  } else {
    const body = native.part(`node/${id}`, 'exports', 'require', 'module', 'process', 'internalBinding', 'primordials');
    body(module.exports, load, module, process, internalBinding, primordials);
  }
  module.loaded = true;
  return module.exports;
}
