// Modules of the runtime's own: postern:NAME, and Node's, which are a part.
import { StringSlice, StringStartsWith, hasOwn, keys } from './primordials.js';
import { codedError } from './coded_error.js';
import { part } from './part.js';
import { Socket, connect } from './sockets.js';

/** Names of Node's modules that are there, without "node:". @type {() => string[]} */
export const builtinNames = () => part('node').names;

/** @type {Record<string, any>} */
const namespaces = { __proto__: null };

/** What an import of a builtin sees; throws where there is none. @param {string} url @param {string} importer */
export function builtinModule(url, importer) {
  if (url === 'postern:sockets') return { connect, Socket };
  const exports = StringStartsWith(url, 'node:') ? part('node').nodeModule(StringSlice(url, 5)) : undefined;
  if (exports === undefined)
    throw codedError('ERR_UNKNOWN_BUILTIN_MODULE', `there is no module ${url} in a guest (imported from ${importer})`);
  return (namespaces[url] ??= namespaceOf(exports));
}

/** Each property as an export, and all of it as the default. @param {any} exports */
function namespaceOf(exports) {
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
  namespace.default = exports;
  return namespace;
}
