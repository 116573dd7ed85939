// Modules of the runtime's own: postern:NAME, and Node's, which are a part.
import { StringSlice, StringStartsWith, hasOwn, keys } from '../core/primordials.js';
import { codedError } from '../core/coded_error.js';
import { part } from '../core/lazy_part.js';
import { Socket, connect } from '../fetch/sockets.js';

/** Names of Node's modules that are there, without "node:". @type {() => string[]} */
export const builtinNames = () => part('node').names;

/** @type {Record<string, any>} */
const namespaces = { __proto__: null };

/** What an import of a builtin sees; throws where there is none. @param {string} url @param {string} importer */
export function builtinModule(url, importer) {
  if (url === 'postern:sockets') return { connect, Socket };
  const name = StringStartsWith(url, 'node:') ? StringSlice(url, 5) : '';
  const exports = name === '' ? undefined : part('node').nodeModule(name);
  if (exports === undefined)
    throw codedError('ERR_UNKNOWN_BUILTIN_MODULE', `there is no module ${url} in a guest (imported from ${importer})`);
  return (namespaces[url] ??= namespaceOf(exports, part('node').exportNames(name)));
}

/**
 * Each property as an export, and all of it as the default. What a program imports by a name that only Node has is undefined: an
 * import that fails would take all of the program with it.
 * @param {any} exports @param {string[]} known
 */
function namespaceOf(exports, known) {
  /** @type {any} */
  const namespace = { __proto__: null };
  for (const name of keys(exports)) if (name !== 'default') namespace[name] = exports[name];
  // Classes of Node's have more than what is enumerable.
  if (typeof exports === 'function')
    for (const name of Reflect.ownKeys(exports))
      if (
        typeof name === 'string' &&
        !hasOwn(namespace, name) &&
        !['length', 'name', 'prototype', 'default', 'arguments', 'caller'].includes(name)
      )
        namespace[name] = exports[name];
  for (let i = 0; i < known.length; i++) if (!hasOwn(namespace, known[i])) namespace[known[i]] = undefined;
  namespace.default = exports;
  return namespace;
}
