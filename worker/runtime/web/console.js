// console (WHATWG Console), formatted as Node does. log, info and debug go to stdout; the others to stderr.
import { StringSlice } from '../core/primordials.js';
import { colours, format, formatFor, inspect } from '../core/inspect.js';
import { part } from '../core/lazy_part.js';
import { writeByProgram } from '../core/outputs.js';

const { write, now } = native;
const counts = new Map();
const timers = new Map();
let indent = '';

/** @param {number} fd @param {string} text */
function print(fd, text) {
  const line = `${indent === '' ? text : indent + text.replaceAll('\n', `\n${indent}`)}\n`;
  if (!writeByProgram(fd, line)) write(fd, line);
}
const out = (/** @type {any[]} */ ...args) => print(1, formatFor(colours.out, args));
const err = (/** @type {any[]} */ ...args) => print(2, formatFor(colours.err, args));

/** @param {number} ms */
function duration(ms) {
  if (ms < 1000) return `${Number(ms.toFixed(3))}ms`;
  return ms < 60_000
    ? `${(ms / 1000).toFixed(3)}s`
    : `${Math.floor(ms / 60_000)}:${((ms % 60_000) / 1000).toFixed(3).padStart(6, '0')} (m:ss.mmm)`;
}

/** Columns that a text takes. @param {string} text @returns {number} */
const width = (text) =>
  /^[ -~]*$/.test(text) ? text.length : part('node').load('internal/util/inspect').getStringWidth(text);

/** @param {any} data @param {string[]} [columns] */
function table(data, columns) {
  if (typeof data !== 'object' || data === null) return out(data);
  const rows =
    data instanceof Map
      ? [...data.entries()].map((entry, i) => [i, { Key: entry[0], Values: entry[1] }])
      : data instanceof Set
        ? [...data].map((v, i) => [i, v])
        : Object.entries(data);
  const large = (/** @type {any} */ v) =>
    typeof v === 'object' && v !== null && !Array.isArray(v) && Object.keys(v).length > 2;
  const cells = (/** @type {any} */ v) =>
    inspect(v, { depth: large(v) ? -1 : 0, maxArrayLength: 3, breakLength: Infinity });
  const names = [];
  let values = false;
  for (const [, row] of rows) {
    if (typeof row === 'object' && row !== null) {
      for (const key of Object.keys(row))
        if (!names.includes(key) && (!columns || columns.includes(key))) names.push(key);
    } else values = true;
  }
  const counted = data instanceof Map || data instanceof Set;
  const head = [counted ? '(iteration index)' : '(index)', ...(columns ?? names), ...(values ? ['Values'] : [])];
  const lines = rows.map((pair) => {
    const [index, row] = pair;
    const object = typeof row === 'object' && row !== null;
    return [
      `${index}`,
      ...(columns ?? names).map((n) => (object && Object.hasOwn(row, n) ? cells(row[n]) : '')),
      ...(values ? [object ? '' : cells(row)] : []),
    ];
  });
  const widths = head.map((h, i) => Math.max(width(h), ...lines.map((l) => width(l[i]))) + 2);
  const line = (/** @type {string[]} */ row) =>
    `│${row.map((c, i) => ` ${c}${' '.repeat(widths[i] - width(c) - 1)}`).join('│')}│`;
  const rule = (/** @type {string} */ a, /** @type {string} */ b, /** @type {string} */ c) =>
    a + widths.map((w) => '─'.repeat(w)).join(b) + c;
  out([rule('┌', '┬', '┐'), line(head), rule('├', '┼', '┤'), ...lines.map(line), rule('└', '┴', '┘')].join('\n'));
}

export const console = {
  __proto__: {},
  log: (/** @type {any[]} */ ...args) => out(...args),
  info: (/** @type {any[]} */ ...args) => out(...args),
  debug: (/** @type {any[]} */ ...args) => out(...args),
  error: (/** @type {any[]} */ ...args) => err(...args),
  warn: (/** @type {any[]} */ ...args) => err(...args),
  trace(/** @type {any[]} */ ...args) {
    const at = /** @type {any} */ ({ name: 'Trace', message: args.length > 0 ? format(...args) : '' });
    Error.captureStackTrace(at, console.trace);
    const stack = `${at.stack}`;
    print(
      2,
      `Trace${at.message ? `: ${at.message}` : ''}${StringSlice(stack, stack.indexOf('\n    at') < 0 ? stack.length : stack.indexOf('\n    at'))}`,
    );
  },
  assert(/** @type {any} */ condition, /** @type {any[]} */ ...args) {
    if (condition) return;
    if (typeof args[0] === 'string') err(`Assertion failed: ${args[0]}`, ...args.slice(1));
    else err('Assertion failed', ...args);
  },
  dir(/** @type {any} */ value, /** @type {any} */ options) {
    print(1, inspect(value, { customInspect: false, colors: colours.out, ...options }));
  },
  dirxml: (/** @type {any[]} */ ...args) => out(...args),
  table,
  group(/** @type {any[]} */ ...args) {
    if (args.length > 0) out(...args);
    indent += '  ';
  },
  groupCollapsed(/** @type {any[]} */ ...args) {
    console.group(...args);
  },
  groupEnd() {
    indent = StringSlice(indent, 2);
  },
  count(label = 'default') {
    counts.set(`${label}`, (counts.get(`${label}`) ?? 0) + 1);
    out(`${label}: ${counts.get(`${label}`)}`);
  },
  countReset(label = 'default') {
    counts.delete(`${label}`);
  },
  time(label = 'default') {
    timers.set(`${label}`, now());
  },
  timeLog(label = 'default', /** @type {any[]} */ ...args) {
    if (timers.has(`${label}`)) out(`${label}: ${duration(now() - timers.get(`${label}`))}`, ...args);
    else err(`No such label '${label}' for console.timeLog()`);
  },
  timeEnd(label = 'default') {
    if (!timers.has(`${label}`)) return err(`No such label '${label}' for console.timeEnd()`);
    out(`${label}: ${duration(now() - timers.get(`${label}`))}`);
    timers.delete(`${label}`);
  },
  clear() {},
  // For an inspector, which a guest does not have.
  timeStamp() {},
  profile() {},
  profileEnd() {},
  createTask(/** @type {any} */ name) {
    if (typeof name !== 'string' || name === '') throw new Error('First argument must be a non-empty string.');
    return { run: (/** @type {() => any} */ f) => f() };
  },
};
Object.defineProperty(console, Symbol.toStringTag, { value: 'console', configurable: true });
