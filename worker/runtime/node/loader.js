// Node's own JavaScript: lib/ of the Node.js whose V8 this is (build.mjs takes it out of the executable), run with bindings and
// replacements of ours. What touches an operating system is ours (fs.js, net.js, …); what is language only is Node's.
import { process } from './process.js';
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
  const made = {};
  const symbols = new Proxy({}, { get: (target, name) => (target[name] ??= Symbol(String(name))) });
  native.part(
    'node/internal/per_context/primordials',
    'exports',
    'primordials',
    'privateSymbols',
    'perIsolateSymbols',
  )({}, made, symbols, symbols);
  primordials = made;
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
/** Those that are being loaded, and what they have loaded meanwhile. @type {string[]} */
const begun = [];
let depth = 0;
/** The exports of a module of Node's by its id, as "internal/util" or "stream". @param {string} id */
export function load(id) {
  const known = modules[id];
  if (known !== undefined) return known.exports;
  if (primordials === undefined) makePrimordials();
  const from = begun.length;
  const module = (modules[id] = { exports: {}, id, loaded: false });
  try {
    depth++;
    begun[from] = id;
    if (replaced[id] !== undefined) {
      module.exports = replaced[id]();
    } else {
      const body = native.part(
        `node/${id}`,
        'exports',
        'require',
        'module',
        'process',
        'internalBinding',
        'primordials',
      );
      body(module.exports, load, module, process, internalBinding, primordials);
    }
    module.loaded = true;
  } catch (error) {
    // As where the stack ends: the half of a module is none, and others may have taken it for whole.
    modules[id] = undefined;
    for (let i = from; i < begun.length; i++) modules[begun[i]] = undefined;
    begun.length = from;
    throw error;
  } finally {
    if (--depth === 0) begun.length = 0;
  }
  return module.exports;
}
