// Node's util.inspect, loaded when something that is no string is first shown.
/** @type {any} */
let loaded;
function util() {
  return (loaded ??= require('node-inspect-extracted'));
}
/** @param {any} value @param {any} [options] @returns {string} */
export function inspect(value, options) {
  return util().inspect(value, options);
}
/** @param {any[]} args @returns {string} */
export function format(...args) {
  if (args.length === 1 && typeof args[0] === 'string') return args[0];
  return util().format(...args);
}
/** The same for stdout or stderr. @param {boolean} colors @param {any[]} args @returns {string} */
export function formatFor(colors, args) {
  if (args.length === 1 && typeof args[0] === 'string') return args[0];
  return util().formatWithOptions({ colors }, ...args);
}
/** Whether what goes there is shown in colours: a terminal is at the other end. */
export const colours = { out: false, err: false };
