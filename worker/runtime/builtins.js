// Modules of the runtime's own: postern:NAME, and Node's.
import { Socket, connect } from './sockets.js';

/** Names of Node's modules that are there, without "node:". */
export const builtinNames = [];

/** The exports of a builtin; throws where there is none. @param {string} url @param {string} importer */
export function builtinModule(url, importer) {
  if (url === 'postern:sockets') return { connect, Socket };
  const error = /** @type {any} */ (new Error(`there is no module ${url} in a guest (imported from ${importer})`));
  error.code = 'ERR_UNKNOWN_BUILTIN_MODULE';
  throw error;
}
